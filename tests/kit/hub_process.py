"""The command `hub` as a process of its own, and what it may leave behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

from integrations_hub.cli.postgres_binaries import home_of

STOP_S = 60
_DROPPED = ("HUB_", "INTEGRATIONS_", "BQE_", "AIRFLOW", "RUN_MIGRATIONS")


def clean_environment(state: Path, **settings: str) -> dict[str, str]:
    """This process's environment without any setting of the Hub or Airflow, plus `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return {**kept, "HUB_STATE_DIR": str(state), **settings}


def hub(state: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `hub` to its end."""
    return subprocess.run(
        [*_command(), *arguments], env=clean_environment(state, **settings),
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


class HubProcess:
    """A running `hub` whose lines on stderr can be waited for. Leaving `with` kills what still runs."""

    def __init__(self, state: Path, *arguments: str, **settings: str) -> None:
        self.state = state
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [*_command(), *arguments], env=clean_environment(state, **settings),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        if self.process.stderr:
            self.process.stderr.close()

    def wait_for(self, text: str, timeout_s: float = 240) -> str:
        """The first line that contains `text`; fails when the process ends before or never says it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                line = self._queue.get(timeout=1)
            except queue.Empty:
                continue
            if line is None:
                break
            if text in line:
                return line
        raise AssertionError(f"hub never said {text!r}; it said:\n" + "".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def _read(self) -> None:
        if self.process.stderr:
            for line in self.process.stderr:
                self.lines.append(line)
                self._queue.put(line)
        self._queue.put(None)


def left_behind(state: Path) -> list[str]:
    """Every living process that belongs to this state folder, by its command line."""
    marks = {str(state)}
    if (state / "postgres" / "id").exists() or os.geteuid() != 0:
        marks.add(str(home_of(state / "postgres")))
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            command = " ".join(process.cmdline())
            # a worker's title overwrites what /proc shows of its arguments and environment, never its folder
            known = process.cwd() == str(state)
            known = known or process.environ().get("HUB_STATE_DIR") == str(state)
            if known or any(mark in command for mark in marks):
                found.append(f"{process.pid} {command}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _command() -> list[str]:
    return [sys.executable, "-c", "from integrations_hub.cli.main import app; app()"]
