"""The whole product running: PostgreSQL, Airflow and the bridge under our supervisor, and the sandbox beside it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from integrations_hub.cli.demo import demo_rule
from integrations_hub.cli.hub_client import HubClient
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import ADMIN, State, repository
from integrations_hub.cli.supervisor import Stack, StackOptions
from integrations_hub.domain.run import ENDED
from integrations_hub.store.database import Database
from tests.kit.hub_process import clean_environment
from tests.kit.sandbox import SandboxProcess

_RUN_S = 240.0
RULE = demo_rule(datetime.now(timezone.utc))


class RunningHub:
    """Connected to the sandbox, with an enabled rule for projects. `order` places one failpoint at a time."""

    def __init__(
        self, folder: Path, *, heartbeat_s: int = 15, environ: Mapping[str, str] | None = None
    ) -> None:
        self._environ = dict(environ or {})
        self.state = State(folder / "state")
        self._order = folder / "failpoint"
        self._order.write_text("", encoding="utf-8")
        self._exits = ExitStack()
        self._heartbeat_s = heartbeat_s
        self.said: list[str] = []

    def __enter__(self) -> RunningHub:
        try:
            self._start()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def _start(self) -> None:
        self.sandbox = self._exits.enter_context(SandboxProcess())
        shutdown = self._exits.enter_context(Shutdown())
        environ = clean_environment(
            self.state.folder,
            HUB_TESTING="1",
            HUB_FAILPOINT=f"@{self._order}",
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=str(self._heartbeat_s),
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL="3",
            **self.sandbox.settings(),
            **self._environ,
        )
        options = StackOptions(repository(), port=0, fsync=False)
        self.stack = self._exits.enter_context(
            Stack(options, environ, self.state, shutdown, self.said.append)
        )
        self.client = HubClient(self.stack.settings.base_url, "bqe")
        self._exits.callback(self.client.close)
        self.client.log_in(ADMIN, self.state.admin_password())
        self.client.create_connection("acme", "Acme", "production")
        self.client.authorise("acme")
        self.client.save_rule("projects", "acme", dict(RULE))
        self.client.enable_rule("projects", "acme")
        self.database = Database.from_url(self.stack.settings.hub_url)
        self._exits.callback(self.database.close)

    def order(self, failpoint: str) -> None:
        """From now on this failpoint counts, from its first pass; "" for none."""
        shutil.rmtree(self.state.folder / "failpoints", ignore_errors=True)
        self._order.write_text(failpoint, encoding="utf-8")

    def run(self) -> dict[str, Any]:
        """Run now, to its end."""
        return self.ended(int(self.client.run_now("projects", "acme")["id"]))

    def ended(self, run_id: int) -> dict[str, Any]:
        """The job once it has ended."""
        return self.wait(
            lambda: job if (job := self.client.job(run_id))["state"] in ENDED else None,
            f"run {run_id} to end",
        )

    def wait(self, find: Callable[[], Any], what: str) -> Any:
        """Poll until `find()` gives something."""
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            self.stack.revive()
            if found := find():
                return found
            time.sleep(0.2)
        raise AssertionError(f"waited {_RUN_S:.0f} s in vain for {what}")

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of the Hub's database."""
        return self.database.rows(sql, params)

    def projects(self) -> dict[str, str]:
        """Name by external id."""
        sql = (
            "SELECT l.external_id, p.name FROM hub.projects p "
            "JOIN hub.integration_external_link l ON l.local_id = p.id"
        )
        return {row["external_id"]: row["name"] for row in self.rows(sql)}

    def empty(self) -> None:
        """Forget what was synced, as if the rule had never run; the connection stays."""
        self.database.execute(
            "TRUNCATE hub.projects, hub.integration_external_link, hub.integration_state, hub.quarantine, "
            "hub.integration_run, hub.sync_change, hub.sync_chunk, hub.sync_body, hub.sync_page, "
            "hub.integration_lease CASCADE"
        )
        self.database.execute("UPDATE hub.integration_connection SET filter_probes = '{}'")

    def task_processes(self) -> list[psutil.Process]:
        """Task processes and their supervisors: the scheduler's descendants, by Airflow's process titles.

        Airflow makes them unreadable to other processes of the same user, so nothing but family and title counts.
        """
        scheduler = psutil.Process(self.stack.components["scheduler"].pid)
        return [
            p
            for p in scheduler.children(recursive=True)
            if _title(p).startswith("airflow worker -- ")
        ]

    def kill_supervisor_of_the_running_task(self) -> int:
        """SIGKILL the parent of the task process; returns the orphan's pid."""
        task = self.wait(self._running_task, "a running task process")
        parent = task.parent()
        assert parent is not None
        os.kill(parent.pid, signal.SIGKILL)
        return int(task.pid)

    def _running_task(self) -> psutil.Process | None:
        """The task process is the worker process whose parent is a worker process for the same task."""
        found = self.task_processes()
        pids = {process.pid for process in found}
        children = [p for p in found if p.ppid() in pids and " LocalExecutor" not in _title(p)]
        return children[0] if children else None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
