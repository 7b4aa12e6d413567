"""What one run costs: CPU of the client and of PostgreSQL, WAL, rows written, requests, memory.

CPU, WAL, rows and requests are the figures to trust on a shared machine; wall seconds are reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_WRITES = (
    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables "
    "WHERE relname IN ('projects', 'links', 'integration_external_link')"
)


@dataclass(frozen=True)
class Cost:
    """One run. Seconds; `wal_mb` in 2**20 bytes; `rss_mb` the client's peak."""

    wall_s: float
    client_cpu_s: float
    work_cpu_s: float
    postgres_cpu_s: float
    wal_mb: float
    rows_written: int
    rss_mb: int
    said: Mapping[str, Any]

    @property
    def cpu_s(self) -> float:
        """Client and PostgreSQL, without the client's imports."""
        return self.work_cpu_s + self.postgres_cpu_s


class Server:
    """The PostgreSQL under measurement, by the pid of its postmaster."""

    def __init__(self, pid: int, admin_url: str) -> None:
        self._pid = pid
        self._admin_url = admin_url

    def cpu_s(self) -> float:
        """Of the postmaster, its living children and those it has buried."""
        own = _times(self._pid)
        living = [_times(pid)[:2] for pid in _children(self._pid)]
        return (sum(own) + sum(sum(pair) for pair in living)) * _TICK_S

    def wal(self) -> int:
        """Bytes of WAL ever written."""
        return int(self._one("SELECT pg_current_wal_lsn() - '0/0'"))

    def settle(self, urls: Sequence[str]) -> None:
        """Vacuum, so that hint bits of the load before are no cost of the next run, then CHECKPOINT."""
        for url in urls:
            with psycopg.connect(url, autocommit=True) as session:
                session.execute("VACUUM (ANALYZE)")
        self._one("CHECKPOINT", returns=False)

    def _one(self, sql: str, *, returns: bool = True) -> Any:
        with psycopg.connect(self._admin_url, autocommit=True) as session:
            cursor = session.execute(sql)
            return cursor.fetchone()[0] if returns else None  # type: ignore[index]


def run(
    command: Sequence[str], environ: Mapping[str, str], server: Server, database_url: str
) -> Cost:
    """Run the command to its end; its last line of output is JSON. Raises RuntimeError when it fails."""
    written = _rows_written(database_url)
    cpu, wal, begun = server.cpu_s(), server.wal(), time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=dict(environ), stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        if process.returncode != 0:
            raise RuntimeError(f"{command}: exit {process.returncode}: {_text(errors)[-2000:]}")
        said = json.loads(_text(out).strip().splitlines()[-1])
    client = usage.ru_utime + usage.ru_stime
    return Cost(
        wall_s=wall,
        client_cpu_s=client,
        work_cpu_s=float(said.get("work_cpu_s", client)),
        postgres_cpu_s=server.cpu_s() - cpu,
        wal_mb=(server.wal() - wal) / 2**20,
        rows_written=_rows_written(database_url) - written,
        rss_mb=int(said["max_rss_mb"]),
        said=said,
    )


def _rows_written(database_url: str) -> int:
    with psycopg.connect(database_url) as session:
        session.execute("SELECT pg_stat_force_next_flush()")
        return int(session.execute(_WRITES).fetchone()[0])  # type: ignore[index]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _times(pid: int) -> tuple[int, int, int, int]:
    """utime, stime, cutime, cstime in clock ticks; zeros for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return (0, 0, 0, 0)
    fields = text.rpartition(")")[2].split()
    return tuple(int(value) for value in fields[11:15])  # type: ignore[return-value]


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(child) for child in text.split()]
