"""The development-only backfill of the provider's client."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from integrations_hub.cli.main import app
from integrations_hub.store.database import Database

COMMAND = ["dev", "backfill-bqe-client"]


def clients(database: Database) -> dict[str, str | None]:
    rows = database.rows("SELECT name, bqe_client_name FROM hub.projects")
    return {row["name"]: row["bqe_client_name"] for row in rows}


@pytest.fixture
def projects(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    database.execute(
        "INSERT INTO hub.projects (id, name, client, bqe_client_name) VALUES (1, 'plain', 'Ada', NULL),"
        " (2, 'filled', 'Bob', 'Bobby'), (3, 'linked', 'Cy', NULL), (4, 'empty', NULL, NULL)"
    )
    database.execute(
        "INSERT INTO hub.integration_provider (key, schema_version, display_name, raw, checksum)"
        " VALUES ('acme', '1.0', 'Acme', '{}', '') ON CONFLICT DO NOTHING"
    )
    database.execute(
        "WITH c AS (INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
        " VALUES ('acme', 'main', 'Main', 'production') RETURNING id)"
        " INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, local_entity,"
        " local_id, run_id, idempotency_key) SELECT 'acme', 'projects', id, 'X', 'project', 3, 1, '' FROM c"
    )
    return database


@pytest.mark.parametrize("debug", [None, "false", "1", "yes"])
def test_without_debug_it_is_refused_and_nothing_is_written(
    projects: Database, monkeypatch: pytest.MonkeyPatch, debug: str | None
) -> None:
    monkeypatch.delenv("HUB_DEBUG", raising=False)
    if debug:
        monkeypatch.setenv("HUB_DEBUG", debug)
    done = CliRunner().invoke(app, COMMAND)
    assert done.exit_code == 1
    assert "HUB_DEBUG=true" in done.stderr
    assert clients(projects) == {"plain": None, "filled": "Bobby", "linked": None, "empty": None}


def test_it_fills_what_is_empty_and_unlinked_and_a_second_time_nothing(
    projects: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DEBUG", "true")
    done = CliRunner().invoke(app, COMMAND)
    assert (done.exit_code, done.stdout.strip()) == (0, "1 projects are filled.")
    assert clients(projects) == {"plain": "Ada", "filled": "Bobby", "linked": None, "empty": None}
    assert CliRunner().invoke(app, COMMAND).stdout.strip() == "0 projects are filled."
