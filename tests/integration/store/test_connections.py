"""Connections, settings, metadata, projects, heartbeats and the audit: what each store promises."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from integrations_hub import wiring
from integrations_hub.admin_wiring import publish
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.listing import FilterProbe
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.store.audit import PostgresAuditStore
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.heartbeats import PostgresHeartbeatStore
from integrations_hub.store.projects import PostgresProjectStore
from integrations_hub.store.providers import PostgresProviderStore
from integrations_hub.store.settings import PostgresSettingStore
from tests.integration.store.test_rules import at_once


def create(database: Database, key: str = "main") -> Connection:
    return PostgresConnectionStore(database).create(
        provider_key="acme",
        key=key,
        label="Main",
        environment="production",
        actor="ada",
        request_id="r-1",
    )


def test_of_creators_at_once_one_wins_and_is_audited(database: Database) -> None:
    results = at_once(database, 8, create)
    assert sum(isinstance(one, ConflictingChange) for one in results) == 7
    assert len(database.rows("SELECT 1 FROM hub.audit_log")) == 1


def test_connections_are_found_by_name_and_by_id(database: Database) -> None:
    store, made = PostgresConnectionStore(database), create(database)
    assert store.get("acme", "main") == store.by_id(made.id) == made
    assert [one.key for one in store.list("acme")] == ["main"]
    assert store.list("other") == []
    assert store.list() == [made]
    for call in (
        lambda: store.get("acme", "x"),
        lambda: store.get("x", "main"),
        lambda: store.by_id(999),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_probe_is_kept_beside_those_of_other_objects(database: Database) -> None:
    store, made = PostgresConnectionStore(database), create(database)
    store.save_probe(
        made.id, "projects", FilterProbe(True, "fine", 12, verified=True, page_size=100)
    )
    store.save_probe(made.id, "people", FilterProbe(False, "refused"))
    store.save_probe(made.id, "people", FilterProbe(False, "refused again"))
    probes = store.by_id(made.id).filter_probes
    assert (probes["projects"]["verified"], probes["projects"]["filtered_count"]) == (True, 12)
    assert probes["people"]["note"] == "refused again"
    assert probes["projects"]["at"].endswith("Z")


def _save(database: Database, made: Connection, expected: int) -> Any:
    return PostgresSettingStore(database).save(
        connection_id=made.id, object_key="projects", settings={"a": expected}, schema_version="1.0",
        expected_revision=expected, actor="ada", request_id=None,
    )  # fmt: skip


def test_settings_are_saved_from_the_revision_that_was_read(database: Database) -> None:
    made, store = create(database), PostgresSettingStore(database)
    assert store.get(made.id, "projects") is None
    assert [_save(database, made, 0).revision, _save(database, made, 1).revision] == [1, 2]
    for stale in (0, 1, 3):
        with pytest.raises(ConflictingChange):
            _save(database, made, stale)
    found = store.get(made.id, "projects")
    assert found is not None
    assert (found.settings, found.updated_by) == ({"a": 1}, "ada")


def test_of_first_settings_at_once_one_wins(database: Database) -> None:
    made = create(database)
    results = at_once(database, 6, lambda own: _save(own, made, 0))
    assert sum(isinstance(one, ConflictingChange) for one in results) == 5


def test_the_audit_refuses_changes(database: Database) -> None:
    PostgresAuditStore(database).add(
        actor="ada", action="a.b", target="t", detail={"n": 1}, request_id=None
    )
    for statement in (
        "UPDATE hub.audit_log SET actor = 'x'",
        "DELETE FROM hub.audit_log",
        "TRUNCATE hub.audit_log",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement)


def test_metadata_is_written_when_it_changed_only(database: Database) -> None:
    store, providers = PostgresProviderStore(database), wiring.registry().list_providers()
    assert store.sync(providers) == len(providers)
    assert store.sync(providers) == 0
    database.execute("UPDATE hub.integration_provider SET checksum = 'old'")
    assert store.sync(providers) == len(providers)
    assert [row["key"] for row in store.list()] == [provider.key for provider in providers]


def test_publishing_puts_the_environments_limits_in_force(database: Database) -> None:
    publish(database, {"BQE_BURST": "9"})
    publish(database, {"BQE_BURST": "11"})
    (row,) = database.rows("SELECT * FROM hub.rate_limit")
    assert (row["burst"], row["requests_per_minute"]) == (11, 80)


def test_unlinked_projects_are_those_no_record_was_ever_matched_with(database: Database) -> None:
    made, store = create(database), PostgresProjectStore(database)
    database.execute("INSERT INTO hub.projects (name) VALUES ('A'), ('B'), ('C')")
    database.execute("UPDATE hub.projects SET deleted_at = now() WHERE name = 'C'")
    assert store.unlinked_count("acme") == 2
    database.execute(
        "INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id,"
        " local_entity, local_id, run_id, idempotency_key)"
        " SELECT 'acme', 'projects', %(id)s, 'x', 'project', id, 1, 'k' FROM hub.projects WHERE name = 'A'",
        {"id": made.id},
    )
    assert (store.unlinked_count("acme"), store.unlinked_count("other")) == (1, 2)


def test_a_beat_has_the_age_of_the_databases_clock(database: Database) -> None:
    store = PostgresHeartbeatStore(database)
    store.beat("housekeeping", {"lost": 1})
    store.beat("housekeeping", {"lost": 2})
    database.execute("UPDATE hub.heartbeat SET at = clock_timestamp() - interval '90 s'")
    (beat,) = store.read_all()
    assert (beat.name, beat.detail) == ("housekeeping", {"lost": 2})
    assert 90 <= beat.age_s < 90 + 3600
