"""Migrations: from empty, up-down-up, and several starters at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

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


def test_what_is_staged_survives_its_new_form_and_the_way_back(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("migrate_staging")
    records = [
        (7, 1, 0, "a", None, datetime(2026, 1, 2, 3, 4, 5, 600), None),
        (7, 1, 2, "b", "a", None, "child"),
        (7, 1, 3, None, None, None, "malformed: the id is missing"),
        (7, 2, 0, 'c\\"', None, datetime(2026, 1, 2), "duplicate"),
        (7, 2, 1, 'c\\"', None, datetime(2026, 1, 3), None),
    ]
    upgrade(url)
    downgrade(url, "0010")
    with psycopg.connect(url) as session:
        session.execute("INSERT INTO hub.sync_body VALUES (7, 1, '[]'), (7, 2, '[]')")
        values = "(%s, %s, %s, %s, %s, %s, %s)"
        session.cursor().executemany(f"INSERT INTO hub.sync_record VALUES {values}", records)
    upgrade(url)
    assert _staged(url) == records
    downgrade(url, "0010")
    assert _staged(url) == records


def _staged(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as session:
        return session.execute("SELECT * FROM hub.sync_record ORDER BY page_no, n").fetchall()
