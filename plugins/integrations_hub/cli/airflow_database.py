"""Airflow's own tables: brought to this Airflow's schema, and only when they are not there yet."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from integrations_hub.cli.component import Component
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import State
from integrations_hub.errors import DatabaseUnusable
from integrations_hub.store.server import airflow_revision

_DEADLINE_S = 600.0
_NOTE = "airflow_schema.json"
_MIGRATE = "from airflow.utils.db import upgradedb; upgradedb()"


def migrate_airflow(state: State, url: str, env: Mapping[str, str], shutdown: Shutdown) -> bool:
    """Migrate in one process of its own when needed (10 s); returns whether it was.

    The revision this Airflow version reached last time is noted: asking Airflow itself costs five seconds.
    """
    version = importlib.metadata.version("apache-airflow-core")
    noted, found = state.noted(_NOTE), airflow_revision(url)
    if found is not None and noted == {"airflow": version, "revision": found}:
        return False
    program = Component(
        "airflow migrations", [sys.executable, "-c", _MIGRATE], env,
        log=state.logs / "migrations.log", folder=Path(state.folder),
    )  # fmt: skip
    program.start()
    try:
        _await_end(program, shutdown)
    finally:
        program.kill_session()
    reached = airflow_revision(url)
    if program.exit_code != 0 or reached is None:
        raise DatabaseUnusable(
            f"Airflow's tables could not be made (exit code {program.exit_code}); the log ends with:\n{program.last_lines()}",
            hint=f"The whole log is {program.log}. Mend what it names and start again.",
        )
    state.note(_NOTE, {"airflow": version, "revision": reached})
    return True


def _await_end(program: Component, shutdown: Shutdown) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while program.is_running:
        if time.monotonic() > deadline:
            raise DatabaseUnusable(
                f"Airflow's migrations did not end within {_DEADLINE_S:.0f} s.",
                hint=f"Their log is {program.log}; look for a session that holds a lock.",
            )
        shutdown.sleep(0.1)
