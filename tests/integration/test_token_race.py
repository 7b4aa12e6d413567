"""Real processes that refresh one-time tokens at the same moment, are killed, or lose the database meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.store.migrate import upgrade
from tests.kit.broker_race import BrokerRace, judge, rounds
from tests.kit.hub_process import hub
from tests.kit.oidc import IdentityServer
from tests.kit.sandbox import SandboxProcess

PROCESSES = 16


@pytest.fixture
def race(database_url: str, sandbox: SandboxProcess, tmp_path: Path) -> Iterator[BrokerRace]:
    made = BrokerRace(database_url, sandbox, tmp_path)
    yield made
    made.close()


# --- one exchange -------------------------------------------------------------------------------


def many(race: BrokerRace, *, fast: int, slow_connections: int, slow_rounds: int) -> list[str]:
    """Fast rounds on one connection while others wait for an identity server that takes 30 s."""
    processes = race.start(PROCESSES)
    slow = [race.connect(f"slow{number}") for number in range(slow_connections)]
    quick = race.connect("quick")
    wrong: list[str] = []
    for number in range(slow_rounds):
        before = race.posts()
        race.slow(30, count=len(slow))
        race.expire(*slow)
        orders = []
        for one in slow:
            orders.append((one, [(p, p.order(one, again_s=2.0)) for p in processes]))
            begun = before + len(orders)
            # its slow answer is taken: what comes after the last is answered at once
            race.until(lambda begun=begun: race.posts() == begun, "a slow exchange began")
        share = fast // slow_rounds
        for fast_round in range(share):
            race.expire(quick)
            seen = race.posts()
            asked = [(p, p.order(quick)) for p in processes]
            answers = [p.answer(order) for p, order in asked]
            wrong += judge(answers, race.posts() - seen, f"fast {number}.{fast_round}")
        for one, asked in orders:
            answers = [p.answer(order) for p, order in asked]
            wrong += judge(answers, 1, f"slow {number}, connection {one}")
        exchanges = race.posts() - before
        if exchanges != len(slow) + share:
            wrong.append(f"slow {number}: {exchanges} exchanges for {len(slow) + share} rounds")
    dead = [one for one in (*slow, quick) if not race.family_lives(one)]
    return wrong + [f"grant of connection {one} is dead" for one in dead]


def test_sixteen_processes_make_one_exchange_a_round_with_fast_and_slow_identity_servers(
    race: BrokerRace,
) -> None:
    assert many(race, fast=6, slow_connections=2, slow_rounds=1) == []


@pytest.mark.deep
def test_fifty_rounds_fast_and_slow_make_fifty_exchanges_each(race: BrokerRace) -> None:
    assert many(race, fast=50, slow_connections=5, slow_rounds=10) == []


class ForeignRace(BrokerRace):
    """The same race at an identity server that we did not write: rotation on, reuse ends the family."""

    def __init__(
        self, url: str, sandbox: SandboxProcess, state: Path, identity: IdentityServer
    ) -> None:
        super().__init__(url, sandbox, state, **identity.settings())
        self.identity = identity

    def posts(self) -> int:
        return self.identity.asked("refresh_token")


def test_the_same_race_passes_at_an_identity_server_that_we_did_not_write(
    database_url: str, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    with IdentityServer() as identity:
        race = ForeignRace(database_url, sandbox, tmp_path, identity)
        try:
            family = identity.mint()
            connection_id = race.keep(
                "foreign", family.access_token, family.refresh_token, "http://127.0.0.1:1/api"
            )
            processes = race.start(8)
            assert rounds(race, processes, connection_id, 3) == []
            identity.switch(delay_ms=2500)  # longer than any waiter waits
            assert rounds(race, processes, connection_id, 1) == []
            assert identity.alive(family.grant_id)
        finally:
            race.close()


@pytest.mark.parametrize("kind", ["no_lock", "reread", "ttl_lock"])
def test_the_usual_ways_to_refresh_fail_where_the_broker_passes(
    race: BrokerRace, kind: str
) -> None:
    connection_id = race.connect()
    race.slow(1, count=-1)
    wrong = rounds(race, race.start(5, BROKER=kind), connection_id, 1)
    assert "the grant is dead" in wrong
    assert any("exchanges" in one for one in wrong)
    if kind == "reread":
        assert not any("served" in one for one in wrong), (
            "it reports success, and the grant is dead"
        )


def test_a_token_rejected_by_the_provider_is_refreshed_once_for_everybody(race: BrokerRace) -> None:
    """T10: valid by our clock, expired by theirs; every process saw its own 401."""
    connection_id = race.connect()
    processes = race.start(4)
    orders = [(one, one.order(connection_id, reject=1)) for one in processes]
    assert judge([one.answer(order) for one, order in orders], race.posts(), "401") == []
    assert race.view(connection_id)["token_version"] == 2


# --- trouble -----------------------------------------------------------------------------------


def test_a_revoked_grant_costs_one_request_and_one_alarm(race: BrokerRace) -> None:
    connection_id = race.connect()
    race.sandbox.control("POST", "/revoke", {"grant": True})
    race.expire(connection_id)
    processes = race.start(4)
    for _ in range(3):
        orders = [(one, one.order(connection_id)) for one in processes]
        answers = [one.answer(order) for one, order in orders]
        assert {one["state"] for one in answers} == {"refused"}
        assert {one["reason"] for one in answers} == {"the provider rejected its grant"}
    assert race.posts() == 1
    assert (race.view(connection_id)["reason"], race.view(connection_id)["auth_code"]) == (
        "grant_rejected",
        "GRANT_REJECTED",
    )
    alarms = "SELECT 1 FROM hub.audit_log WHERE action = 'connection.grant_rejected'"
    assert len(race.rows(alarms)) == 1


def test_a_wrong_client_secret_is_told_from_a_revoked_grant(race: BrokerRace) -> None:
    connection_id = race.connect()
    race.expire(connection_id)
    [process] = race.start(1, BQE_CLIENT_SECRET="rotated at the provider")
    served = process.serve(connection_id)
    assert served["reason"] == "the provider rejected the app's client id or secret"
    assert "client id and client secret first" in served["hint"]
    assert race.view(connection_id)["auth_code"] == "CLIENT_REJECTED"


def test_an_outage_is_asked_once_and_never_becomes_a_rejection(race: BrokerRace) -> None:
    connection_id = race.connect()
    race.sandbox.script({"status": 503, "body": "<html>"}, path="/idp/connect/token", count=-1)
    race.expire(connection_id)
    orders = [(one, one.order(connection_id, for_s=3)) for one in race.start(3)]
    assert {one.answer(order)["state"] for one, order in orders} == {"refreshing"}
    assert race.posts() == 1, "at most one request in 30 s"
    found = race.view(connection_id)
    assert (found["state"], found["needs_reauth"]) == ("degraded", False)
    race.sandbox.control("POST", "/reset", {})
    assert race.family_lives(connection_id)
    assert race.view(connection_id)["state"] == "connected"


def test_a_lost_answer_is_shown_tried_once_and_then_told_from_a_revoked_grant(
    race: BrokerRace,
) -> None:
    connection_id = race.connect()
    race.sandbox.script({"lose_answer": True}, path="/idp/connect/token")
    race.expire(connection_id)
    [process] = race.start()
    assert process.serve(connection_id, for_s=2)["state"] == "refreshing"
    found = race.view(connection_id)
    assert (found["state"], found["refresh_unknown_since"] is not None) == ("degraded", True)
    assert race.posts() == 1, "never repeated at once"
    race.lapse()
    served = process.serve(connection_id)
    assert served["reason"] == "a refresh was interrupted and the old sign-in no longer works"
    assert (
        f"interrupted at {found['refresh_unknown_since']:%Y-%m-%d %H:%M:%S} UTC" in served["hint"]
    )
    assert process.serve(connection_id)["state"] == "refused"
    assert race.posts() == 2
    assert race.view(connection_id)["auth_code"] == "ROTATION_LOST"


# --- kill -9 -----------------------------------------------------------------------------------

LOST = ("refused", "a refresh was interrupted and the old sign-in no longer works")
WORKS = ("ready", "")


@pytest.mark.parametrize(
    ("where", "tokens", "outcome", "posts"),
    [
        ("refresh_claimed", "rotate", WORKS, 1),
        ("during", "rotate", LOST, 2),
        ("refresh_answered", "rotate", LOST, 2),
        ("refresh_answered", "grace", WORKS, 2),
        ("refresh_answered", "keep", WORKS, 2),
        ("refresh_saved", "rotate", WORKS, 1),
    ],
)
def test_a_killed_refresh_ends_in_the_state_that_can_be_known(
    race: BrokerRace, where: str, tokens: str, outcome: tuple[str, str], posts: int
) -> None:
    connection_id = race.connect()
    race.sandbox.switch(refresh_tokens=tokens)
    race.expire(connection_id)
    if where == "during":
        race.slow(1)
        [doomed] = race.start()
        doomed.order(connection_id)
        race.until(lambda: race.posts() == 1, "the exchange began")
        doomed.process.kill()
    else:
        [doomed] = race.start(HUB_FAILPOINT=f"{where}:1:kill")
        doomed.order(connection_id)
    assert doomed.killed()
    found = race.view(connection_id)
    saved = where == "refresh_saved"
    assert (found["refresh_in_flight_since"] is None) == saved
    if where == "during":
        answered = lambda: race.sandbox.requests()[-1]["status"] == 200  # noqa: E731
        race.until(answered, "the identity server spent the token")

    race.lapse()
    assert (race.view(connection_id)["refresh_unknown_since"] is None) == saved
    [after] = race.start()
    served = after.serve(connection_id)
    assert (served["state"], served["reason"]) == outcome
    assert race.posts() == posts
    if outcome == WORKS:
        assert race.family_lives(connection_id)
        assert race.view(connection_id)["refresh_unknown_since"] is None


@pytest.mark.deep
def test_a_frozen_owner_gives_its_claim_back_instead_of_spending_a_stale_token(
    race: BrokerRace,
) -> None:
    connection_id = race.connect()
    race.expire(connection_id)
    order_file = Path(race.environ["HUB_STATE_DIR"]) / "order"
    order_file.write_text("refresh_claimed:1:sleep", encoding="utf-8")
    [frozen] = race.start(HUB_FAILPOINT=f"@{order_file}")
    first = frozen.order(connection_id)
    race.until(
        lambda: race.view(connection_id)["refresh_in_flight_since"] is not None, "it won the claim"
    )
    frozen.process.send_signal(signal.SIGSTOP)
    race.lapse()
    [other] = race.start()
    assert other.serve(connection_id)["state"] == "ready"
    race.until(_passed(11), "the frozen one is too late")
    order_file.write_text("", encoding="utf-8")
    frozen.process.send_signal(signal.SIGCONT)
    assert frozen.answer(first)["version"] == 2
    assert race.posts() == 1
    assert race.family_lives(connection_id)


def _passed(seconds: float) -> Any:
    import time

    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


# --- PostgreSQL restarts -----------------------------------------------------------------------


@pytest.fixture
def crashing(
    sandbox: SandboxProcess, tmp_path: Path
) -> Iterator[tuple[EmbeddedPostgres, BrokerRace]]:
    server = EmbeddedPostgres(tmp_path / "pg", fsync=False)
    server.start()
    upgrade(server.url)
    race = BrokerRace(server.url, sandbox, tmp_path)
    yield server, race
    race.close()
    server.destroy()


def test_ten_restarts_of_postgresql_during_the_exchange_lose_no_token(
    crashing: tuple[EmbeddedPostgres, BrokerRace],
) -> None:
    server, race = crashing
    connection_id = race.connect()
    processes = race.start(3)
    for number in range(10):
        race.slow(0.3)
        race.expire(connection_id)
        orders = [(one, one.order(connection_id, again_s=0.2)) for one in processes]
        race.until(lambda number=number: race.posts() == number + 1, "the exchange began")
        server.stop("immediate")
        server.start()
        answers = [one.answer(order) for one, order in orders]
        assert {(one["state"], one["version"]) for one in answers} == {("ready", number + 2)}
        assert race.posts() == number + 1
    assert race.family_lives(connection_id)


def test_a_pair_outlives_a_dead_database_and_the_process_that_holds_it(
    crashing: tuple[EmbeddedPostgres, BrokerRace],
) -> None:
    server, race = crashing
    connection_id = race.connect()
    race.expire(connection_id)
    race.slow(0.5)
    [holder] = race.start()
    holder.order(connection_id)
    race.until(lambda: race.posts() == 1, "the exchange began")
    server.stop("immediate")
    spool = Path(race.environ["HUB_STATE_DIR"]) / "token_spool"
    race.until(lambda: list(spool.glob("*.json")), "the pair is on disk")
    assert (spool.stat().st_mode & 0o777, next(spool.iterdir()).stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )
    os.kill(holder.process.pid, signal.SIGKILL)
    assert holder.killed()
    server.start()
    [after] = race.start()
    assert after.serve(connection_id)["state"] == "ready"
    assert (race.posts(), list(spool.iterdir())) == (1, [])
    assert race.family_lives(connection_id)


# --- copies ------------------------------------------------------------------------------------


def test_a_copied_database_calls_no_identity_server_before_an_admin_decides(
    race: BrokerRace, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    connection_id = race.connect()
    race.expire(connection_id)
    name = f"{race.url.rpartition('/')[2]}_copy"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{race.url.rpartition("/")[2]}"')
        copy = {
            **race.environ,
            "HUB_DATABASE_URL": postgres.url_of(name),
            "HUB_INSTANCE_ID": "copy",
        }
        try:
            copies = race.start(
                3, HUB_DATABASE_URL=copy["HUB_DATABASE_URL"], HUB_INSTANCE_ID="copy"
            )
            for _ in range(2):
                orders = [(one, one.order(connection_id, reject=1)) for one in copies]
                answers = [one.answer(order) for one, order in orders]
                assert {one["state"] for one in answers} == {"refused"}
                assert all("copied or restored" in one["reason"] for one in answers)
            assert race.sandbox.requests() == []

            settings = {
                key: value
                for key, value in copy.items()
                if key.startswith(("HUB_", "BQE_", "INTEGRATIONS_"))
            }
            settings.pop("HUB_STATE_DIR")
            listed = hub(tmp_path, "connections", "adopt", "--json", **settings)
            assert '"locked": ["bqe/main"]' in listed.stdout, listed.stderr
            assert race.sandbox.requests() == []
            adopted = hub(tmp_path, "connections", "adopt", "bqe/main", **settings)
            assert "adopted bqe/main" in adopted.stdout, adopted.stderr
            assert copies[0].serve(connection_id)["state"] == "ready"
            assert race.posts() == 1
        finally:
            race.close()
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
