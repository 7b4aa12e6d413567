"""Housekeeping on a real database: what it ends, what it purges, what it leaves alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from integrations_hub.errors import SettingInvalid
from integrations_hub.orchestration import hub_database
from integrations_hub.orchestration.housekeeping import HousekeepingTask
from integrations_hub.store.database import Database
from integrations_hub.store.housekeeping import HousekeepingStore, Retention

_CONNECTION = """
INSERT INTO hub.integration_connection (provider_key, key, label, environment)
VALUES ('bqe', 'acme', 'Acme', 'production') ON CONFLICT (provider_key, key) DO UPDATE SET label = 'Acme'
RETURNING id
"""
_RUN = """
INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, state, created_at, ended_at)
VALUES ('d', %(name)s, %(connection)s, 'bqe', 'projects', %(state)s,
        clock_timestamp() - make_interval(mins => %(age)s),
        CASE WHEN %(ended)s::int IS NULL THEN NULL ELSE clock_timestamp() - make_interval(mins => %(ended)s::int) END)
RETURNING id
"""
_LEASE = """
INSERT INTO hub.integration_lease (key, run_id, fence, stage, taken_at, expires_at)
VALUES (%(key)s, %(run)s, 5, 'fetch', now(), clock_timestamp() + make_interval(secs => %(left)s))
"""


def run_row(
    db: Database, name: str, *, age: int = 60, state: str = "running", ended: int | None = None
) -> int:
    connection = db.row(_CONNECTION)
    assert connection is not None
    params = {
        "name": name,
        "connection": connection["id"],
        "state": state,
        "age": age,
        "ended": ended,
    }
    row = db.row(_RUN, params)
    assert row is not None
    return int(row["id"])


def lease(db: Database, run: int, left: int) -> None:
    db.execute(_LEASE, {"key": f"k{run}", "run": run, "left": left})


def staged(db: Database, run: int) -> None:
    db.execute("INSERT INTO hub.sync_page VALUES (%(r)s, 1, 1, 0, 'd', 1, now())", {"r": run})
    body(db, run, 1)


def body(db: Database, run: int, page: int) -> None:
    db.execute(
        "INSERT INTO hub.sync_body VALUES (%(r)s, %(p)s, '[]', '{0}', '{x}', '{NULL}', '{NULL}')",
        {"r": run, "p": page},
    )


def states(db: Database) -> dict[str, str]:
    return {row["dag_run_id"]: row["state"] for row in db.rows("SELECT * FROM hub.integration_run")}


def test_silent_are_old_open_runs_without_a_living_lease(database: Database) -> None:
    lease(database, run_row(database, "lives"), 60)
    lease(database, run_row(database, "lapsed"), -60)
    run_row(database, "no_lease", state="requested")
    run_row(database, "young", age=1)
    run_row(database, "ended", state="succeeded", ended=1)
    names = {run.dag_run_id for run in HousekeepingStore(database).silent_runs()}
    assert names == {"lapsed", "no_lease"}


def test_a_lost_run_gives_its_lapsed_lease_back_with_a_higher_fence(database: Database) -> None:
    run = run_row(database, "lapsed")
    lease(database, run, -60)
    store = HousekeepingStore(database)
    assert (store.close_lost(run), store.close_lost(run)) == (1, 0)
    assert states(database) == {"lapsed": "lost"}
    row = database.row("SELECT run_id, fence FROM hub.integration_lease")
    assert row == {"run_id": None, "fence": 6}


def test_a_run_whose_lease_came_back_is_not_lost(database: Database) -> None:
    run = run_row(database, "lives")
    lease(database, run, 60)
    assert HousekeepingStore(database).close_lost(run) == 0
    assert states(database) == {"lives": "running"}


def test_staging_of_ended_runs_goes_and_of_open_ones_stays(database: Database) -> None:
    lives, ended = run_row(database, "open"), run_row(database, "ended", state="failed", ended=1)
    long_ago = run_row(database, "old", age=5000, state="succeeded", ended=3000)
    for run in (lives, ended, long_ago):
        staged(database, run)
    purged = HousekeepingStore(database).purge()
    assert (purged["page_bodies"], purged["staged_pages"]) == (2, 1)
    assert [r["run_id"] for r in database.rows("SELECT run_id FROM hub.sync_body")] == [lives]
    pages = {r["run_id"] for r in database.rows("SELECT run_id FROM hub.sync_page")}
    assert pages == {lives, ended}


def test_a_purge_of_more_than_one_batch_takes_all(database: Database) -> None:
    run = run_row(database, "ended", state="failed", ended=1)
    staged(database, run)
    for page in range(2, 6):
        body(database, run, page)
    assert HousekeepingStore(database, batch=2).purge()["page_bodies"] == 5


def test_leftovers_of_sign_ins_and_dead_requests_go(database: Database) -> None:
    run_row(database, "makes_the_connection")
    for name, age in (("old", "-2 days"), ("recent", "-1 hour")):
        database.execute(
            "INSERT INTO hub.oauth_flow (nonce_hash, connection_id, actor, cookie_hash, verifier_key_id,"
            " verifier_ciphertext, redirect_uri, expires_at) SELECT %(n)s, id, 'ada', 'c', 'k', '', 'r',"
            " clock_timestamp() + %(age)s::interval FROM hub.integration_connection",
            {"n": name, "age": age},
        )
        database.execute(
            "INSERT INTO hub.rate_inflight (token, key, expires_at, backend) VALUES (gen_random_uuid(), 'k', clock_timestamp() + %(age)s::interval + '2 hours', 1)",
            {"age": age},
        )
    purged = HousekeepingStore(database).purge()
    assert (purged["oauth_flows"], purged["requests_in_flight"]) == (1, 1)


def test_broken_rules_are_rows_that_keep_their_age_until_they_change(database: Database) -> None:
    store = HousekeepingStore(database)
    seen = "SELECT name, at, detail ->> 'error' AS error FROM hub.heartbeat ORDER BY name"
    store.beat("housekeeping", {})
    store.report_broken({1: "bad", 2: "worse"})
    first = database.rows(seen)
    store.report_broken({1: "bad", 2: "worse"})
    assert database.rows(seen) == first
    store.report_broken({1: "bad"})
    assert [row["name"] for row in database.rows(seen)] == ["dag_broken:1", "housekeeping"]
    assert database.rows(seen)[0] == first[0]
    store.report_broken({})
    assert [row["name"] for row in database.rows(seen)] == ["housekeeping"]


def test_the_task_asks_airflow_before_it_ends_a_run(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_row(database, "gone")
    run_row(database, "alive")
    monkeypatch.setattr(hub_database, "task_database", lambda: Database.from_url(database_url))

    def get_dr_count(dag_id: str, run_ids: list[str], states: list[str]) -> int:
        assert (dag_id, states) == ("d", ["queued", "running"])
        return int(run_ids == ["alive"])

    context: Any = {"ti": SimpleNamespace(get_dr_count=get_dr_count)}
    assert HousekeepingTask(task_id="sweep").execute(context)["lost"] == 1
    assert states(database) == {"gone": "lost", "alive": "running"}
    beat = database.row("SELECT detail FROM hub.heartbeat WHERE name = 'housekeeping'")
    assert beat is not None
    assert beat["detail"]["lost"] == 1


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "99999999"])
def test_a_bad_retention_is_a_sentence(text: str) -> None:
    with pytest.raises(SettingInvalid, match="HUB_JOURNAL_RETENTION_DAYS"):
        Retention.of({"HUB_JOURNAL_RETENTION_DAYS": text})
    assert Retention.of({}) == Retention.of({"HUB_JOURNAL_RETENTION_DAYS": ""}) == Retention()
