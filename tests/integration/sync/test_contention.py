"""People, other sessions and constraints meet a running upsert: nothing is lost, nothing hangs, nothing is half done."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from integrations_hub.errors import DatabaseBusy, LeaseHeld
from integrations_hub.store import database as database_module
from tests.kit.engine import STAGES, Engine
from tests.kit.fake_list import FakeList, portfolio, project

_CLIENT = "SELECT client FROM hub.projects WHERE project_number = %(number)s"
_SET_CLIENT = "UPDATE hub.projects SET client = %(client)s WHERE project_number = %(number)s"


def _planned(hub: Engine) -> int:
    """A run that stands before upsert."""
    run_id = hub.stages().plan(hub.request(trigger="manual", mode="full"))
    for name in STAGES[:3]:
        getattr(hub.stages(), name)(run_id)
    return run_id


def _until(happens: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _waiting(hub: Engine) -> bool:
    sql = "SELECT 1 AS x FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(hub.rows(sql))


def _runs_under_900_edits(hub: Engine, listed: FakeList) -> tuple[dict[str, str], list[str]]:
    """Three runs while three people edit clients; every round of edits begins when a plan of changes stands.

    Returns the last edit by project number, and edits that were gone when their author looked again.
    """
    last: dict[str, str] = {}
    lost: list[str] = []
    planned = threading.Barrier(4)

    def edit(person: int) -> None:
        numbers = [f"{i:05d}" for i in range(120) if i % 3 == person]
        chance = random.Random(person)
        with psycopg.connect(hub.url, autocommit=True) as session:
            for n in range(300):
                if n % 100 == 0:
                    planned.wait(timeout=60)
                number, text = chance.choice(numbers), f"person {person}, edit {n}"
                was = session.execute(_CLIENT, {"number": number}).fetchone()
                if number in last and was != (last[number],):
                    lost.append(last[number])
                session.execute(_SET_CLIENT, {"number": number, "client": text})
                last[number] = text

    people = [threading.Thread(target=edit, args=(person,)) for person in range(3)]
    for person in people:
        person.start()
    for n in range(3):
        for key in list(listed.records):
            listed.touch(key, client=f"There {n}", name=f"Name {n}")
        run_id = _planned(hub)
        planned.wait(timeout=60)
        replace(hub.stages()._upsert, chunk_size=10).run(run_id)
        run = hub.finish_from(run_id, len(STAGES))
        assert (run["state"], run["updated"]) == ("succeeded", 120)  # not starved
    for person in people:
        person.join()
    hub.run(trigger="manual", mode="full")
    return last, lost


def test_900_edits_by_three_people_during_runs_are_all_kept(engine: Any) -> None:
    listed = FakeList(portfolio(120))
    hub = engine(listed, page_size=200)
    hub.run()
    last, lost = _runs_under_900_edits(hub, listed)
    found = {row["project_number"]: row for row in hub.projects().values()}
    assert lost == []
    assert {n: row["client"] for n, row in found.items() if n in last} == last
    for number, row in found.items():
        assert (row["bqe_client_name"], row["name"]) == ("There 2", "Name 2")
        assert row["client_sync_policy_state"]["diverged"] is (number in last)


@pytest.mark.parametrize("policy", ["follow_bqe", "write_once"])
def test_under_900_edits_the_other_policies_decide_exactly(engine: Any, policy: str) -> None:
    listed = FakeList(portfolio(120))
    hub = engine(listed, page_size=200, clientSyncPolicy=policy)
    hub.run()
    first = {row["project_number"]: row["client"] for row in hub.projects().values()}
    last, lost = _runs_under_900_edits(hub, listed)
    for number, row in ((row["project_number"], row) for row in hub.projects().values()):
        own = last.get(number, first[number])
        state = row["client_sync_policy_state"]
        assert row["bqe_client_name"] == "There 2"
        assert row["client"] == ("There 2" if policy == "follow_bqe" else own)
        assert (state["policy"], state["diverged"]) == (policy, policy == "write_once")
    assert lost == [] or policy == "follow_bqe"


def test_a_reader_never_sees_half_a_chunk(engine: Any) -> None:
    hub = engine(FakeList(portfolio(300)), page_size=500)
    run_id = _planned(hub)
    sql = (
        "SELECT (SELECT count(*) FROM hub.projects), (SELECT count(*) FROM hub.integration_external_link), "
        "(SELECT created FROM hub.integration_run WHERE id = %s), (SELECT coalesce(sum(created), 0) FROM hub.sync_chunk)"
    )
    seen: set[tuple[int, ...]] = set()
    done = threading.Event()

    def read() -> None:
        with psycopg.connect(hub.url, autocommit=True) as session:
            while not done.is_set():
                seen.add(session.execute(sql, (run_id,)).fetchone())  # type: ignore[arg-type]

    reader = threading.Thread(target=read)
    reader.start()
    try:
        replace(hub.stages()._upsert, chunk_size=20).run(run_id)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 1
    assert all(len(set(counts)) == 1 and counts[0] % 20 == 0 for counts in seen)


def test_a_row_that_a_constraint_refuses_waits_for_review_and_the_rest_goes_on(engine: Any) -> None:
    records = [*portfolio(30), project(30, code="00007")]
    hub = engine(FakeList(records))
    hub.database.execute("CREATE UNIQUE INDEX one_number ON hub.projects (project_number)")
    run = hub.run()
    assert (run["state"], run["created"], run["review"]) == ("succeeded", 30, 1)
    change = hub.row("SELECT * FROM hub.hub_v_change WHERE outcome = 'refused'")
    assert change["action"] == "review"
    assert "one_number" in change["reason"]
    chunk = hub.row("SELECT created, refused FROM hub.hub_v_chunk")
    assert (chunk["created"], chunk["refused"]) == (30, 1)


def test_a_link_made_between_plan_and_upsert_wins_and_nothing_is_linked_twice(engine: Any) -> None:
    hub = engine(FakeList(portfolio(10)))
    run_id = _planned(hub)
    hub.database.execute(
        "WITH p AS (INSERT INTO hub.projects (name) VALUES ('By hand') RETURNING id) "
        "INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, local_entity, "
        "local_id, run_id, idempotency_key) SELECT 'bqe', 'projects', %(c)s, 'p-00004', 'project', id, 0, 'hand' FROM p",
        {"c": hub.connection.id},
    )
    run = hub.finish_from(run_id, 3)
    assert (run["state"], run["created"], run["review"]) == ("succeeded", 9, 1)
    assert hub.projects()["p-00004"]["name"] == "By hand"


def test_a_project_deleted_between_plan_and_upsert_waits_for_review(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    for key in list(listed.records):
        listed.touch(key, name="Renamed")
    run_id = _planned(hub)
    hub.database.execute("DELETE FROM hub.projects WHERE project_number = '00003'")
    run = hub.finish_from(run_id, 3)
    assert (run["updated"], run["review"]) == (4, 1)


def test_a_row_that_stays_locked_ends_in_words_and_the_next_try_completes(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = database_module._SESSION.replace("lock_timeout = '10s'", "lock_timeout = '200ms'")
    monkeypatch.setattr(database_module, "_SESSION", quick)
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00002", name="Renamed")
    run_id = _planned(hub)
    with psycopg.connect(hub.url) as person:
        person.execute("SELECT 1 FROM hub.projects WHERE project_number = '00002' FOR UPDATE")
        with pytest.raises(DatabaseBusy, match="table projects"):
            hub.stages().upsert(run_id)
    assert hub.finish_from(run_id, 3)["updated"] == 1


def test_a_deadlock_is_survived(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    hub.run()
    for key in list(listed.records):
        listed.touch(key, name="Renamed")
    run_id = _planned(hub)
    outcome: list[dict[str, Any]] = []
    other = threading.Thread(target=lambda: outcome.append(hub.stages().upsert(run_id)))
    with psycopg.connect(hub.url) as person:
        lock = "UPDATE hub.projects SET client = 'Mine' WHERE project_number = %s"
        person.execute(lock, ("00001",))  # the sync locks 00000 first, then waits here
        other.start()
        _until(lambda: _waiting(hub))
        try:
            person.execute(lock, ("00000",))
            person.commit()
        except psycopg.errors.DeadlockDetected:
            person.rollback()
    other.join(timeout=60)
    assert outcome[0]["updated"] == 2
    assert hub.finish_from(run_id, 4)["state"] == "succeeded"
    assert {row["name"] for row in hub.projects().values()} == {"Renamed"}


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_serialization_failure_repeats_the_chunk(engine: Any, state: str) -> None:
    """The server itself raises it, once: a sequence is not rolled back."""
    hub = engine(FakeList(portfolio(5)))
    run_id = _planned(hub)
    with hub.database.transaction() as tx:
        tx.execute("CREATE SEQUENCE hub.times")
        tx.execute(
            "CREATE FUNCTION hub.stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF nextval('hub.times') = 1 THEN RAISE EXCEPTION 'stumbled' USING ERRCODE = '"
            + state
            + "'; END IF; RETURN NULL; END $$"
        )
        tx.execute(
            "CREATE TRIGGER stumble AFTER INSERT ON hub.projects FOR EACH STATEMENT EXECUTE FUNCTION hub.stumble()"
        )
    assert hub.stages().upsert(run_id)["created"] == 5


def test_of_ten_starts_at_once_one_runs_and_nine_say_why_they_did_not(engine: Any) -> None:
    hub = engine(FakeList(portfolio(5)))
    requests = [hub.request() for _ in range(10)]
    ready = threading.Barrier(10)
    told: list[tuple[str, str]] = []

    def start(request: Any) -> None:
        stages = hub.stages()
        ready.wait()
        try:
            told.append(("runs", str(stages.plan(request))))
        except LeaseHeld as held:
            told.append(("skipped", held.message))

    starts = [threading.Thread(target=start, args=(request,)) for request in requests]
    for one in starts:
        one.start()
    for one in starts:
        one.join()
    assert sorted(kind for kind, _ in told) == ["runs"] + ["skipped"] * 9
    [run_id] = [int(text) for kind, text in told if kind == "runs"]
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    shown = hub.rows(
        "SELECT state, error_code, error_text FROM hub.hub_v_run WHERE id <> %(id)s", id=run_id
    )
    assert len(shown) == 9
    assert {(row["state"], row["error_code"]) for row in shown} == {("skipped", "LEASE_HELD")}
    assert all("is not free" in row["error_text"] for row in shown)
