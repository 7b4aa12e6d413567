"""Rules: revisions, one per connection and object whatever the race, holds for the parser."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from integrations_hub.domain.connection import Connection
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.rules import PostgresRuleStore

BODY = {"schedule": {"every": {"minutes": 15}}}


@pytest.fixture
def connection(database: Database) -> Connection:
    return PostgresConnectionStore(database).create(
        provider_key="acme",
        key="main",
        label="Main",
        environment="production",
        actor="ada",
        request_id=None,
    )


def save(database: Database, connection: Connection, **options: Any) -> Any:
    values = {
        "connection_id": connection.id, "object_key": "projects", "body": BODY, "actor": "ada",
        "request_id": "r-1", "expected_revision": None,
    }  # fmt: skip
    return PostgresRuleStore(database).save(**{**values, **options})


def at_once(database: Database, count: int, call: Any) -> list[Any]:
    """`call(database of its own)` on `count` threads; exceptions are results, too."""
    ready = Barrier(count)

    def one(_: int) -> Any:
        own = database.fork()
        try:
            own.session()
            ready.wait(30)
            return call(own)
        except Exception as error:  # noqa: BLE001 - the tests look at it
            return error
        finally:
            own.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_savers_at_once_make_one_rule_with_every_revision(
    database: Database, connection: Connection
) -> None:
    saved = at_once(database, 8, lambda own: save(own, connection).revision)
    assert sorted(saved) == list(range(1, 9))
    assert len(database.rows("SELECT 1 FROM hub.integration_rule")) == 1
    assert len(database.rows("SELECT 1 FROM hub.integration_rule_revision")) == 8
    assert len(database.rows("SELECT 1 FROM hub.audit_log WHERE action = 'rule.saved'")) == 8


def test_of_changes_from_the_same_revision_one_wins(
    database: Database, connection: Connection
) -> None:
    save(database, connection, expected_revision=0)
    results = at_once(database, 6, lambda own: save(own, connection, expected_revision=1))
    assert sum(isinstance(one, ConflictingChange) for one in results) == 5
    rule = PostgresRuleStore(database).find(connection.id, "projects")
    assert rule is not None
    assert rule.revision == 2


def test_a_refused_save_leaves_no_trace(database: Database, connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        save(database, connection, body={**BODY, "includeSubprojects": True})
    with pytest.raises(ConflictingChange):
        save(database, connection, expected_revision=3)
    with pytest.raises(NotFound):
        save(database, connection, connection_id=999)
    assert PostgresRuleStore(database).find(connection.id, "projects") is None
    assert database.rows("SELECT 1 FROM hub.audit_log WHERE action LIKE 'rule.%'") == []


def test_the_switch_is_noted_once(database: Database, connection: Connection) -> None:
    rule, store = save(database, connection), PostgresRuleStore(database)
    for _ in range(3):
        assert store.set_enabled(rule.id, True, actor="ada", request_id=None).enabled is True
    assert [one.id for one in store.list_enabled()] == [rule.id]
    assert store.set_enabled(rule.id, False, actor="bob", request_id=None).revision == 1
    assert store.list_enabled() == []
    rows = database.rows(
        "SELECT actor, action FROM hub.audit_log WHERE action LIKE 'rule.%' ORDER BY seq"
    )
    assert [(row["actor"], row["action"]) for row in rows] == [
        ("ada", "rule.saved"), ("ada", "rule.enabled"), ("bob", "rule.disabled"),
    ]  # fmt: skip
    with pytest.raises(NotFound):
        store.set_enabled(999, True, actor="ada", request_id=None)


def test_a_schedule_counts_from_when_it_is_enabled_or_changed(
    database: Database, connection: Connection
) -> None:
    store = PostgresRuleStore(database)
    rule = save(database, connection)
    enabled = store.set_enabled(rule.id, True, actor="ada", request_id=None)
    other_option = save(database, connection, body={**BODY, "autoCreate": False})
    repeated = store.set_enabled(rule.id, True, actor="ada", request_id=None)
    hourly = save(database, connection, body={**BODY, "schedule": {"every": {"minutes": 60}}})
    since = [one.scheduled_since for one in (rule, enabled, other_option, repeated, hourly)]
    assert since[0] < since[1] == since[2] == since[3] < since[4]


def test_a_second_enabled_rule_of_the_same_object_is_refused(
    database: Database, connection: Connection
) -> None:
    rule, store = save(database, connection), PostgresRuleStore(database)
    store.set_enabled(rule.id, True, actor="ada", request_id=None)
    row = database.row(
        "INSERT INTO hub.integration_rule (connection_id, object_key, body, updated_by)"
        " VALUES (%(id)s, 'projects', '{}', 'x') RETURNING id",
        {"id": connection.id},
    )
    assert row is not None
    with pytest.raises(ConflictingChange):
        store.set_enabled(row["id"], True, actor="ada", request_id=None)


@pytest.mark.parametrize(
    ("columns", "hold"),
    [
        ("label = label", None),
        ("is_disabled = true", "connection disabled"),
        ("needs_reauth = true, reauth_reason = 'grant_rejected'", "needs_reauth: grant_rejected"),
        ("needs_reauth = true, reauth_reason = 'unreachable'", None),
    ],
)
def test_a_connection_that_waits_for_a_person_holds_its_schedules(
    database: Database, connection: Connection, columns: str, hold: str | None
) -> None:
    store = PostgresRuleStore(database)
    store.set_enabled(save(database, connection).id, True, actor="ada", request_id=None)
    database.execute(f"UPDATE hub.integration_connection SET {columns}")
    assert [rule.hold_reason for rule in store.list_enabled()] == [hold]
    database.execute("UPDATE hub.integration_rule SET hold_reason = 'resync_required'")
    assert [rule.hold_reason for rule in store.list_enabled()] == ["resync_required"]
