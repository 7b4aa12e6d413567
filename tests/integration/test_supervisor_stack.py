"""The real stack under the supervisor: ready, mended when something dies, gone when asked."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.state import State, remove_state
from tests.kit.hub_process import HubProcess, hub, left_behind

pytestmark = pytest.mark.real_airflow


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    remove_state(State(folder))


def eventually(condition: Callable[[], object], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


def pid_of(state: Path, words: str) -> int | None:
    found = [line for line in left_behind(state) if words in line]
    return int(found[0].split()[0]) if found else None


def base_url(process: HubProcess) -> str:
    return process.wait_for("Airflow  http").split()[-1].rstrip("/")


def beats(url: str, part: str, since: float) -> bool:
    """Whether a heartbeat younger than `since` (epoch) was written."""
    try:
        health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    beat = health[part].get(f"latest_{part}_heartbeat")
    return bool(beat) and datetime.fromisoformat(beat).timestamp() > since


def test_a_stack_heals_itself_and_leaves_nothing(state: Path) -> None:
    with HubProcess(state, "up", "--port", "0") as process:
        url = base_url(process)
        login = {"username": "admin", "password": State(state).admin_password()}
        answer = httpx.post(f"{url}/auth/token", json=login, trust_env=False)
        assert answer.status_code == 201
        assert hub(state, "up", "--port", "0").returncode == 1  # one start per state folder
        assert hub(state, "db", "current").returncode == 0  # while commands may join it

        for words in ("airflow scheduler", "airflow dag-processor"):
            env = psutil.Process(pid_of(state, words)).environ()
            assert env["HUB_STATE_DIR"] == str(state)
            assert not {"INTEGRATIONS_SECRET_KEY", "HUB_DATABASE_URL"} & set(env), words

        scheduler = pid_of(state, "airflow scheduler")
        assert scheduler
        os.kill(scheduler, signal.SIGKILL)
        process.wait_for("scheduler ended with exit code -9; starting it again")
        killed = time.time()
        eventually(lambda: beats(url, "scheduler", killed), "the scheduler beats again")
        assert pid_of(state, "airflow scheduler") not in (None, scheduler)

        server = EmbeddedPostgres(state / "postgres")
        assert server.url_if_running()
        postmaster = pid_of(state, "/bin/postgres -D")
        assert postmaster
        os.kill(postmaster, signal.SIGQUIT)
        process.wait_for("PostgreSQL ended; starting it again")
        stopped = time.time()
        for part in ("scheduler", "dag_processor"):
            eventually(lambda part=part: beats(url, part, stopped), f"{part} beats again")

        assert process.stop(signal.SIGTERM) == 143
        assert "Traceback" not in "".join(process.lines)
    assert left_behind(state) == []
    port = int(url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.deep
def test_a_killed_supervisor_is_cleaned_up_by_the_next_start(state: Path) -> None:
    with HubProcess(state, "up", "--port", "0") as process:
        process.wait_for("Ctrl-C stops everything")
        orphans = [int(line.split()[0]) for line in left_behind(state)]
        process.process.kill()
        process.process.wait()
        orphans.remove(process.process.pid)
        assert orphans
    with HubProcess(state, "up", "--port", "0") as process:
        process.wait_for("was left behind by a start that was killed")
        process.wait_for("Ctrl-C stops everything")
        assert not [pid for pid in orphans if psutil.pid_exists(pid) and _lives(pid)]
        assert process.stop(signal.SIGINT) == 130
    assert left_behind(state) == []


def test_a_component_that_cannot_start_is_named_with_its_last_words(state: Path) -> None:
    settings = {"AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "not a number"}
    done = hub(state, "up", "--port", "0", **settings)
    assert done.returncode == 1
    assert "scheduler ended with exit code" in done.stderr
    assert "not a number" in done.stderr
    assert str(state / "logs" / "scheduler.log") in done.stderr
    assert left_behind(state) == []


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
