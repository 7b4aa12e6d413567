"""What the tables themselves refuse, whoever writes them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.kit.fake_list import FakeList, portfolio

_LINK = (
    "INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, "
    "local_entity, local_id, run_id, idempotency_key) SELECT provider_key, object_type, connection_id, "
    "{external_id}, {entity}, {local_id}, run_id, 'k' FROM hub.integration_external_link LIMIT 1"
)


@pytest.fixture
def synced(engine: Any) -> Any:
    """A Hub with two linked projects."""
    hub = engine(FakeList(portfolio(2)))
    hub.run()
    return hub


@pytest.mark.parametrize(
    ("external_id", "entity", "local_id", "refused"),
    [
        ("external_id", "'project'", "local_id + 1000", psycopg.errors.UniqueViolation),
        ("'another'", "'project'", "local_id", psycopg.errors.UniqueViolation),
        ("'another'", "'invoice'", "local_id", psycopg.errors.CheckViolation),
        ("'another'", "'project'", "999999", psycopg.errors.ForeignKeyViolation),
        ("'another'", "'person'", "999999", psycopg.errors.ForeignKeyViolation),
    ],
)
def test_a_link_is_unique_on_both_sides_allowlisted_and_has_its_row(
    synced: Any, external_id: str, entity: str, local_id: str, refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        synced.database.execute(
            _LINK.format(external_id=external_id, entity=entity, local_id=local_id)
        )


def test_a_link_has_its_connection_and_a_connection_is_not_deleted_under_its_links(
    synced: Any,
) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="connection of a link"):
        synced.database.execute(
            "INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, "
            "local_entity, local_id, run_id, idempotency_key) "
            "SELECT 'other', 'projects', 999, 'x', 'project', min(id), 1, 'k' FROM hub.projects"
        )
    synced.database.execute("ALTER TABLE hub.integration_connection DISABLE TRIGGER ALL")
    synced.database.execute(
        "ALTER TABLE hub.integration_connection ENABLE TRIGGER integration_connection_links"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="still has links"):
        synced.database.execute("DELETE FROM hub.integration_connection")


def test_a_connection_stays_as_long_as_a_run_names_it(synced: Any) -> None:
    """So the links that a sync writes have their connection without being looked at."""
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="integration_run_connection_id"):
        synced.database.execute(
            "WITH gone AS (DELETE FROM hub.integration_external_link), idle AS (DELETE FROM hub.integration_rule) "
            "DELETE FROM hub.integration_connection"
        )


def test_a_rule_row_never_includes_subprojects(synced: Any) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        synced.database.execute(
            "UPDATE hub.integration_rule SET body = body || '{\"includeSubprojects\": true}'"
        )


def test_is_active_follows_status_and_cannot_disagree(synced: Any) -> None:
    synced.database.execute(
        "UPDATE hub.projects SET status = 'inactive' WHERE project_number = '00001'"
    )
    rows = synced.rows("SELECT is_active FROM hub.projects ORDER BY project_number")
    assert [row["is_active"] for row in rows] == [True, False]
    with pytest.raises(psycopg.errors.GeneratedAlways):
        synced.database.execute("UPDATE hub.projects SET is_active = true")


def test_a_link_tells_where_its_row_came_from(synced: Any) -> None:
    links = synced.rows("SELECT * FROM hub.hub_v_link ORDER BY external_id")
    assert [(row["provider"], row["connection"], row["object_type"]) for row in links] == [
        ("bqe", "acme", "projects")
    ] * 2
    assert all(row["run_id"] and row["synced_at"] and row["source_updated_at"] for row in links)


def test_the_idempotency_key_changes_with_what_was_applied(synced: Any) -> None:
    sql = "SELECT external_id, idempotency_key FROM hub.integration_external_link ORDER BY external_id"
    before = {row["external_id"]: row["idempotency_key"] for row in synced.rows(sql)}
    synced.client.touch("p-00001", name="Other")
    synced.run()
    after = {row["external_id"]: row["idempotency_key"] for row in synced.rows(sql)}
    assert after["p-00000"] == before["p-00000"]
    assert after["p-00001"] != before["p-00001"]
    assert len(set(before.values())) == 2
