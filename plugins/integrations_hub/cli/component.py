"""One long-running program under the supervisor: its own session, its own log file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LOG_LIMIT = 20 * 1024 * 1024


class Component:
    """Start, watch and end one program with everything it started."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], *, log: Path, folder: Path
    ) -> None:
        self.name = name
        self.log = log
        self.started_at = 0.0
        self._command = list(command)
        self._env = dict(env)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0

    @property
    def pid(self) -> int:
        """The process id of the last start, 0 before the first; it is also the id of its session."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs (or was never started)."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program in a session of its own: a terminal's Ctrl-C reaches us only."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._offset = log.tell()
            self._process = subprocess.Popen(
                self._command, env=self._env, cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started_at = time.time()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program itself; it ends its own children in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> bool:
        """Wait until time.monotonic() reaches `deadline`; returns whether it ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill_session(self) -> None:
        """End whatever is left of the program: itself and every descendant in its session."""
        if self._process is None:
            return
        kill_session(self._process.pid)
        self._process.wait()

    def last_lines(self, count: int = 15) -> str:
        """The end of what it wrote to its log since its last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._offset)
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-count:])


def kill_session(session: int) -> None:
    """SIGKILL to every process of a session, until none is left (a task sets its own group, never its own session)."""
    for _ in range(20):
        members = session_members(session)
        if not members:
            break
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    if not Path("/proc/self").exists():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)


def session_members(session: int) -> list[int]:
    """The living processes of a session, zombies not counted."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = entry.read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(entry.parent.name))
    return found


def birth_of(pid: int) -> str:
    """When a process was born (clock ticks since boot); "" when it is gone. With the pid it names one process for good."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def end_leftovers(noted: Mapping[str, str]) -> list[int]:
    """Kill the sessions of an earlier start that still live; `noted`: birth by process id. Returns those ended."""
    living = [int(pid) for pid, birth in noted.items() if birth and birth_of(int(pid)) == birth]
    for pid in living:
        kill_session(pid)
    return living
