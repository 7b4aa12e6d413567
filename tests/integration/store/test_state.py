"""Seeds of rules that read from now on, and what a resync still lacks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.resync import PostgresResyncStore
from integrations_hub.store.state import PostgresStateStore

T0 = datetime(2026, 3, 1)


@pytest.fixture
def connection_id(database: Database) -> int:
    made = PostgresConnectionStore(database).create(
        provider_key="bqe",
        key="acme",
        label="Acme",
        environment="production",
        actor="t",
        request_id=None,
    )
    return made.id


def _state(database: Database) -> dict[str, Any]:
    return database.rows("SELECT * FROM hub.integration_state")[0]


def test_a_seed_is_the_databases_clock_and_a_second_one_changes_nothing(
    database: Database, connection_id: int
) -> None:
    states = PostgresStateStore(database)
    assert states.seed_mark(connection_id, "projects", 1, seeded_by="ann")
    first = _state(database)
    now = database.rows("SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now")[0]["now"]
    assert timedelta(0) <= now - first["mark"] < timedelta(minutes=5)
    assert (first["seed"], first["seeded_by"]) == (first["mark"], "ann")
    assert not states.seed_mark(connection_id, "projects", 1, seeded_by="bob", mark=T0)
    assert _state(database) == first


def test_a_new_generation_is_seeded_anew_and_an_old_one_never(
    database: Database, connection_id: int
) -> None:
    states = PostgresStateStore(database)
    states.seed_mark(connection_id, "projects", 2, seeded_by="ann", mark=T0)
    assert not states.seed_mark(connection_id, "projects", 1, seeded_by="ann")
    assert states.seed_mark(
        connection_id, "projects", 3, seeded_by="ann", mark=T0 - timedelta(days=9)
    )
    assert _state(database)["mark"] == T0 - timedelta(days=9)


def _run(database: Database, connection_id: int, **covered: Any) -> None:
    """A run of now that has read an interval."""
    row = database.rows(
        "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, started_at) "
        "VALUES ('d', gen_random_uuid()::text, %(c)s, 'bqe', 'projects', clock_timestamp()) RETURNING id, started_at",
        {"c": connection_id},
    )[0]
    database.execute(
        "INSERT INTO hub.resync_covered VALUES (%(run)s, %(c)s, 'projects', %(since)s, %(until)s, %(swept)s, %(at)s)",
        {"run": row["id"], "c": connection_id, "at": row["started_at"], "swept": False, **covered},
    )


def test_a_resync_knows_the_hull_of_its_gaps_and_stays_open_without_a_sweep(
    database: Database, connection_id: int
) -> None:
    store = PostgresResyncStore(database)
    day = timedelta(days=1)
    _run(database, connection_id, since=None, until=None)  # before the request: counts for nothing
    store.request(
        connection_id=connection_id, object_key="projects", since=T0, actor="ann", request_id=None
    )
    _run(database, connection_id, since=T0 + day, until=T0 + 2 * day)
    asked = store.oldest_open(connection_id, "projects")
    assert asked is not None
    assert (asked.has_gap, asked.gap_since, asked.gap_until) == (True, T0, asked.until)
    _run(database, connection_id, since=T0 - day, until=T0 + day)
    asked = store.oldest_open(connection_id, "projects")
    assert asked is not None
    assert asked.gap_since == T0 + 2 * day
    _run(database, connection_id, since=T0 + day, until=asked.until + timedelta(seconds=1))
    asked = store.oldest_open(connection_id, "projects")
    assert asked is not None
    assert not asked.has_gap
    assert database.rows("SELECT actor, action FROM hub.audit_log")[-1] == {
        "actor": "ann",
        "action": "resync.requested",
    }


def test_a_resync_of_everything_has_no_beginning(database: Database, connection_id: int) -> None:
    store = PostgresResyncStore(database)
    store.request(
        connection_id=connection_id, object_key="projects", since=None, actor="ann", request_id=None
    )
    asked = store.oldest_open(connection_id, "projects")
    assert asked is not None
    assert (asked.has_gap, asked.gap_since) == (True, None)
    assert store.oldest_open(connection_id, "timeentries") is None
