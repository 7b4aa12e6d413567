"""Migrations: from empty, up-down-up, and several starters at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.errors import DatabaseUnusable
from integrations_hub.store.migrate import current, downgrade, head, upgrade


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as session:
        rows = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'hub'")
        return {row[0] for row in rows} - {"alembic_version"}


def test_up_down_up_leaves_the_same_tables(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("migrate_updown")
    upgrade(url)
    first = _tables(url)
    assert downgrade(url, "base") == "base"
    assert _tables(url) == set()
    assert upgrade(url) == head()
    assert _tables(url) == first
    assert {"projects", "integration_external_link", "sync_change"} <= first


def test_three_starters_at_once_migrate_once(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("migrate_parallel")
    with ThreadPoolExecutor(3) as pool:
        reached = list(pool.map(upgrade, [url] * 3))
    assert reached == [head()] * 3
    assert current(url) == head()


def test_a_newer_schema_is_refused_and_left_alone(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("migrate_newer")
    upgrade(url)
    with psycopg.connect(url) as session:
        session.execute("UPDATE hub.alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseUnusable, match="9999"):
        upgrade(url)
    assert current(url) == "9999"


def test_a_wrong_password_is_a_sentence_without_the_password(postgres: EmbeddedPostgres) -> None:
    url = postgres.url_of("postgres").replace("hub:", "hub:wrong-", 1)
    with pytest.raises(DatabaseUnusable) as refused:
        upgrade(url)
    assert "password authentication failed" in refused.value.message
    assert "wrong-" not in refused.value.message
