"""What containers do at their start: migrations under a lock, and the login file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.store.migrate import current, head
from tests.kit.hub_process import hub


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{os.urandom(4).hex()}"
    url = postgres.create_database(name)
    yield url
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_three_parallel_starts_migrate_once(empty_url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        starts = [
            pool.submit(hub, tmp_path, "db", "upgrade", HUB_DATABASE_URL=empty_url)
            for _ in range(3)
        ]
        ended = [start.result() for start in starts]
    for done in ended:
        assert done.returncode == 0, done.stderr
        assert "Running migrations…" in done.stderr
        assert done.stdout.strip() == head()
    assert current(empty_url) == head()


def test_up_down_up(empty_url: str, tmp_path: Path) -> None:
    for arguments, revision in (
        (("upgrade",), head()),
        (("downgrade", "base"), None),
        (("upgrade",), head()),
    ):
        done = hub(tmp_path, "db", *arguments, HUB_DATABASE_URL=empty_url)
        assert done.returncode == 0, done.stderr
        assert current(empty_url) == revision
    told = hub(tmp_path, "db", "current", "--json", HUB_DATABASE_URL=empty_url)
    assert json.loads(told.stdout) == {"current": head(), "needed": head()}


def test_prepare_writes_the_login_file_and_leaves_tables_alone(
    empty_url: str, tmp_path: Path
) -> None:
    login = tmp_path / "login.json"
    done = hub(
        tmp_path, "prepare", HUB_DATABASE_URL=empty_url, HUB_ADMIN_PASSWORD="made-up",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(login),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(login.read_text()) == {"admin": "made-up"}
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    assert current(empty_url) is None


@pytest.mark.real_airflow
def test_prepare_migrates_both_databases(empty_url: str, tmp_path: Path) -> None:
    airflow_url = f"{empty_url.rpartition('/')[0]}/airflow"
    done = hub(
        tmp_path, "prepare", RUN_MIGRATIONS_ON_START="true", HUB_DATABASE_URL=empty_url,
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=airflow_url.replace("postgresql:", "postgresql+psycopg2:"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Running migrations…" in done.stderr
    assert current(empty_url) == head()
    with psycopg.connect(airflow_url) as session:
        assert session.execute("SELECT count(*) FROM dag").fetchone() == (0,)
