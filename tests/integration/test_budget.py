"""The shared request budget on a real PostgreSQL: row 1.16, with eight processes."""

import multiprocessing
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from integrations_hub import wiring
from integrations_hub.catalog.metadata import RateLimits
from integrations_hub.errors import SettingInvalid
from integrations_hub.store.budget import BudgetStore, connection_limits, effective_limits
from integrations_hub.store.database import Database
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.throttle import Throttle
from tests.kit.broker_world import CONNECTED

INSERT = (
    "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
    " VALUES ('acme', %(key)s, 'l', 'production') RETURNING id"
)

WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
PLACE = (
    "SELECT extract(epoch FROM expires_at)::float8 - 120 AS due,"
    " extract(epoch FROM clock_timestamp())::float8 AS sent"
    " FROM hub.rate_inflight WHERE token = %(token)s::uuid"
)


@pytest.fixture
def connection_id(database: Database) -> int:
    return database.rows(INSERT, {"key": "main"})[0]["id"]


@pytest.fixture
def store(database: Database) -> Iterator[BudgetStore]:
    store = BudgetStore(database)
    yield store
    store.close()


def acquire(store: BudgetStore, connection_id: int, max_wait_s: float = 60.0):
    token = str(uuid.uuid4())
    return token, store.acquire(token, "acme", connection_id, max_wait_s=max_wait_s)


def test_a_sender_without_other_threads_needs_no_session_of_its_own(
    database: Database, connection_id: int
) -> None:
    BudgetStore(database).publish_limits("acme", RateLimits(60, 5, 4, 600))
    sessions = "SELECT pg_backend_pid() AS pid"
    mine = database.rows(sessions)[0]["pid"]
    store = BudgetStore(database, only_thread=True)
    token, slot = acquire(store, connection_id)
    holder = database.rows("SELECT backend FROM hub.rate_inflight")[0]["backend"]
    store.close()
    assert slot.granted
    assert token
    assert holder == mine == database.rows(sessions)[0]["pid"]


def work(url: str, connection_id: int, barrier, pipe) -> None:
    """One process: take, hold a little, give back; report (due, sent, done) on the database's clock."""
    database = Database.from_url(url)
    store = BudgetStore(database)
    throttle = Throttle(
        store, provider_key="acme", connection_id=connection_id, clock=SystemClock()
    )
    spans = []
    barrier.wait()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        token = throttle.acquire(lambda: None)
        row = database.rows(PLACE, {"token": token})[0]
        time.sleep(0.005)
        done = database.rows("SELECT extract(epoch FROM clock_timestamp())::float8 AS t")[0]["t"]
        throttle.release(token)
        spans.append((row["due"], row["sent"], done))
    store.close()
    database.close()
    pipe.send(spans)


def test_eight_processes_stay_within_rate_burst_and_places(
    database_url, database, store, connection_id
):
    store.publish_limits("acme", RateLimits(3000, 5, 3, 60_000))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(8)
    pipes, workers = [], []
    for _ in range(8):
        ours, theirs = context.Pipe()
        worker = context.Process(target=work, args=(database_url, connection_id, barrier, theirs))
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    spans = [span for pipe in pipes for span in pipe.recv()]
    for worker in workers:
        worker.join()

    # what is bounded is when a request may leave; how late a busy machine lets it leave is not ours
    assert min(sent - due for due, sent, _ in spans) > -0.01, "nobody leaves before its slot"
    slots = sorted(due for due, _, _ in spans)
    for window_s in (0.25, 0.5, 1.0, 2.0, 60.0):
        most = max(sum(1 for t in slots if start <= t < start + window_s) for start in slots)
        assert most <= window_s * 50 + 5
    assert len(slots) > 8, "more than the burst was granted"
    edges = sorted([(sent, 1) for _, sent, _ in spans] + [(done, -1) for _, _, done in spans])
    in_flight = [sum(step for _, step in edges[: i + 1]) for i in range(len(edges))]
    assert max(in_flight) <= 3


def test_a_place_taken_while_we_waited_for_the_rows_counts(store, database, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 1, 6000))
    store.release(acquire(store, connection_id)[0])
    other, answers = database.fork(), []
    with other.transaction() as tx:
        tx.execute("SELECT key FROM hub.rate_budget ORDER BY key FOR UPDATE")
        tx.execute(
            "INSERT INTO hub.rate_inflight SELECT gen_random_uuid(), min(key),"
            " now() + interval '1 min', pg_backend_pid() FROM hub.rate_budget"
        )
        asking = threading.Thread(target=lambda: answers.append(acquire(store, connection_id)[1]))
        asking.start()
        deadline = time.monotonic() + 10
        while not database.rows(WAITING):
            assert time.monotonic() < deadline
    asking.join()
    other.close()
    assert not answers[0].granted


def test_the_burst_goes_at_once_and_the_next_one_waits_its_turn(store, connection_id):
    store.publish_limits("acme", RateLimits(6, 3, 10, 1000))
    waits = [acquire(store, connection_id)[1].wait_s for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert 5 < waits[3] <= 10
    assert 15 < waits[4] <= 20


def test_the_providers_limit_is_shared_by_its_connections(store, database, connection_id):
    other = database.rows(INSERT, {"key": "other"})[0]["id"]
    store.publish_limits("acme", RateLimits(1000, 1, 10, 6))
    assert acquire(store, connection_id)[1].wait_s == 0
    assert 5 < acquire(store, other)[1].wait_s <= 10


def test_no_place_is_given_above_the_limit_until_one_is_released(store, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 2, 6000))
    token, slot = acquire(store, connection_id)
    assert slot.granted
    assert acquire(store, connection_id)[1].granted
    assert not acquire(store, connection_id)[1].granted
    store.release(token)
    assert acquire(store, connection_id)[1].granted


def test_the_place_of_a_dead_sender_is_free_at_once(store, database, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 1, 6000))
    killed = BudgetStore(database)
    assert acquire(killed, connection_id)[1].granted
    assert not acquire(store, connection_id)[1].granted
    killed.close()
    deadline = time.monotonic() + 5
    while not acquire(store, connection_id)[1].granted:
        assert time.monotonic() < deadline


def test_a_change_of_the_limits_counts_with_the_next_request(store, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 1, 6000))
    assert acquire(store, connection_id)[1].granted
    assert not acquire(store, connection_id)[1].granted
    store.publish_limits("acme", RateLimits(6000, 100, 2, 6000))
    assert acquire(store, connection_id)[1].granted


def test_a_connections_own_limits_win(store, database, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 5, 6000))
    database.execute(
        "UPDATE hub.integration_connection SET limits = %(limits)s::jsonb",
        {"limits": '{"requestsPerMinute": 6, "burst": 1, "maxConcurrentPerConnection": 2}'},
    )
    assert acquire(store, connection_id)[1].wait_s == 0
    assert 5 < acquire(store, connection_id)[1].wait_s <= 10
    assert not acquire(store, connection_id)[1].granted


def test_a_pause_holds_everybody_and_a_long_one_is_refused(store, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 5, 6000))
    assert acquire(store, connection_id)[1].granted
    store.pause(connection_id, 20)
    store.pause(connection_id, 1)
    slot = acquire(store, connection_id)[1]
    assert slot.granted
    assert 19 < slot.wait_s <= 20
    assert 19 < store.paused_for("acme", connection_id) <= 20
    store.pause(connection_id, 200)
    slot = acquire(store, connection_id)[1]
    assert not slot.granted
    assert 199 < slot.wait_s <= 200


def test_the_rows_come_back_after_a_crash_emptied_them(store, database, connection_id):
    store.publish_limits("acme", RateLimits(6000, 100, 5, 6000))
    assert acquire(store, connection_id)[1].granted
    database.execute("TRUNCATE hub.rate_budget, hub.rate_inflight")
    assert store.paused_for("acme", connection_id) == 0
    assert acquire(store, connection_id)[1].granted


def test_first_requests_at_once_lock_in_one_order(store, database, connection_id):
    """Rows that one asker makes must not be taken unlocked, in any order, by the others."""
    store.publish_limits("acme", RateLimits(60_000, 1000, 1000, 60_000))
    sessions = [BudgetStore(database.fork()) for _ in range(8)]
    try:
        for _ in range(25):
            database.execute("TRUNCATE hub.rate_budget, hub.rate_inflight")
            with ThreadPoolExecutor(8) as pool:
                slots = list(pool.map(lambda s: acquire(s, connection_id)[1], sessions))
            assert all(slot.granted for slot in slots)
    finally:
        for session in sessions:
            session.close()


def test_without_published_limits_nothing_is_sent(store, connection_id):
    with pytest.raises(SettingInvalid, match="No rate limits are in force for acme"):
        acquire(store, connection_id)


def test_the_environment_overrides_what_the_provider_declares():
    declared = RateLimits(80, 5, 2, 80)
    assert effective_limits(declared, "ACME", {}) == declared
    environ = {
        "ACME_REQUESTS_PER_MINUTE": "60",
        "ACME_BURST": "1",
        "ACME_MAX_CONCURRENT_PER_CONNECTION": "4",
        "ACME_GLOBAL_REQUESTS_PER_MINUTE": "90",
    }
    assert effective_limits(declared, "ACME", environ) == RateLimits(60, 1, 4, 90)
    for bad in ("0", "-1", "many", "1.5"):
        with pytest.raises(SettingInvalid, match="ACME_BURST"):
            effective_limits(declared, "ACME", {"ACME_BURST": bad})


def test_a_connections_own_limits_come_before_the_environments():
    provider = wiring.registry().get_provider("bqe")
    environ = {"BQE_BURST": "7", "BQE_REQUESTS_PER_MINUTE": "60"}
    own = replace(CONNECTED, limits={"requestsPerMinute": 30, "maxConcurrentPerConnection": 1})
    declared = effective_limits(provider.rate_limits, "BQE", environ)
    assert connection_limits(provider, replace(CONNECTED, limits={}), environ) == declared
    limited = replace(declared, requests_per_minute=30, burst=7, max_concurrent=1)
    assert connection_limits(provider, own, environ) == limited
