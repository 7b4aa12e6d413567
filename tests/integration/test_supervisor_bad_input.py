"""Bad input at a start: a sentence what, where and what to do; exit code not 0; nothing left; state intact."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.postgres_binaries import home_of
from integrations_hub.cli.state import State, remove_state
from tests.kit.hub_process import HubProcess, clean_environment, hub, left_behind

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    remove_state(State(folder))


def check(done: subprocess.CompletedProcess[str], state: Path, *texts: str) -> None:
    assert done.returncode == 1, done.stderr
    for text in (*texts, "What to do: "):
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert left_behind(state) == []


def test_missing_secret_key(state: Path) -> None:
    for command in ("up", "demo"):
        done = hub(state, command, "--port", "0", INTEGRATIONS_ENABLED="true")
        check(done, state, "INTEGRATIONS_SECRET_KEY is not set", "hub secrets new-key")


def test_a_key_that_is_none(state: Path) -> None:
    done = hub(state, "up", "--port", "0", INTEGRATIONS_SECRET_KEY="sesame")
    check(done, state, "INTEGRATIONS_SECRET_KEY")
    assert "sesame" not in done.stderr


def test_busy_port(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        for command in ("up", "demo"):
            done = hub(state, command, "--port", port)
            check(done, state, f"Port {port} on 127.0.0.1 is busy", "--port")


def test_unreachable_sandbox(state: Path) -> None:
    for command in ("up", "demo"):
        done = hub(state, command, "--port", "0", BQE_AUTH_BASE_URL="http://127.0.0.1:9/idp")
        check(done, state, "http://127.0.0.1:9/idp (BQE_AUTH_BASE_URL) does not answer")


def test_the_demo_never_changes_records_of_a_real_company(state: Path) -> None:
    done = hub(state, "demo", "--port", "0", BQE_AUTH_BASE_URL="https://identity.example.test/idp")
    check(done, state, "identity.example.test")


def test_database_that_does_not_answer(state: Path) -> None:
    done = hub(
        state, "up", "--port", "0", HUB_DATABASE_URL="postgresql://hub:sesame@127.0.0.1:1/hub"
    )
    check(done, state, "The database did not accept us", "HUB_DATABASE_URL")
    assert "sesame" not in done.stderr


def test_address_that_is_no_database(state: Path) -> None:
    done = hub(state, "up", "--port", "0", HUB_DATABASE_URL="mysql://hub:sesame@127.0.0.1/hub")
    check(done, state, "HUB_DATABASE_URL is not the address", "postgresql://user:password@host")
    assert "sesame" not in done.stderr


def test_wrong_password(state: Path, postgres: EmbeddedPostgres) -> None:
    url = f"postgresql://hub:sesame@127.0.0.1:{postgres.port}/hub"
    done = hub(state, "up", "--port", "0", HUB_DATABASE_URL=url)
    check(done, state, "The database did not accept us", "password")
    assert "sesame" not in done.stderr


def test_absent_database(state: Path, postgres: EmbeddedPostgres) -> None:
    done = hub(state, "up", "--port", "0", HUB_DATABASE_URL=postgres.url_of("absent"))
    check(done, state, "The database did not accept us", '"absent" does not exist')


def test_schema_of_a_newer_release(state: Path, database_url: str) -> None:
    with psycopg.connect(database_url) as session:
        session.execute("UPDATE hub.alembic_version SET version_num = '9999'")
    done = hub(state, "up", "--port", "0", HUB_DATABASE_URL=database_url)
    check(done, state, "9999")


def test_broken_provider_file(state: Path, tmp_path: Path) -> None:
    """In a copy of the code: every error is told with its pointer before anything starts."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "providers", copy / "providers")
    path = copy / "providers" / "bqe" / "provider.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["displayName"] = 7
    del document["key"]
    path.write_text(json.dumps(document), encoding="utf-8")
    for command in ("doctor", "up", "demo"):
        done = subprocess.run(
            [sys.executable, "-c", "from integrations_hub.cli.main import app; app()", command, "--port", "0"],
            env=clean_environment(state, PYTHONPATH=str(copy)), cwd=copy,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert done.returncode == 1, told
        assert "displayName" in told
        assert "provider.json" in told
        assert "What to do: " in told
        assert "Traceback" not in told
    assert left_behind(state) == []


def test_unwritable_state_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = hub(tmp_path / "file" / "state", "up", "--port", "0")
    assert done.returncode == 1
    assert "What to do: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real_airflow
@pytest.mark.parametrize(
    "moment", ["Opening the database", "Running migrations", "Starting api-server"]
)
def test_ctrl_c_at_any_moment_of_a_start(state: Path, moment: str) -> None:
    with HubProcess(state, "up", "--port", "0") as process:
        process.wait_for(moment)
        assert process.stop(signal.SIGINT) == 130
        assert "Traceback" not in "".join(process.lines)
    assert left_behind(state) == []
    done = hub(
        state, "db", "upgrade"
    )  # the state can be used: the same password opens the same data
    assert done.returncode == 0, done.stderr
    assert left_behind(state) == []


def test_reset_removes_data_and_programs_but_not_under_a_running_hub(state: Path) -> None:
    server = EmbeddedPostgres(state / "postgres", fsync=False)
    holder = State(state)
    holder.claim()
    server.start()
    home = home_of(server.folder)
    server.stop()
    refused = hub(state, "reset", "--yes")
    check(refused, state, "already runs")
    assert (home / "data").exists()
    holder.release()
    assert hub(state, "reset", "--yes").returncode == 0
    assert not home.exists()
    assert not state.exists()
