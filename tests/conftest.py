"""One real PostgreSQL per test session; a migrated, empty database per test that asks for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="hub-airflow-"))

import psycopg
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.store.database import Database
from integrations_hub.store.migrate import upgrade

_TEMPLATE = "hub_template"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server with the migrated template database."""
    with tempfile.TemporaryDirectory(prefix="hub-test-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", fsync=False)
        server.start()
        try:
            upgrade(server.create_database(_TEMPLATE))
            yield server
        finally:
            server.destroy()


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The address of a migrated, empty database of this test alone."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as admin:
        name = f"test_{os.urandom(6).hex()}"
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} STRATEGY file_copy')
        try:
            yield postgres.url_of(name)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A session on the test's database."""
    database = Database.from_url(database_url)
    yield database
    database.close()
