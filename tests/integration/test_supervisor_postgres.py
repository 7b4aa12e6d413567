"""The embedded PostgreSQL as the supervisor uses it."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from integrations_hub.cli import postgres_binaries, postgres_cluster
from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.errors import ConfigurationError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "pg", fsync=False)
    yield made
    made.destroy()


def test_data_and_address_survive_a_restart(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as session:
        session.execute("CREATE TABLE t AS SELECT 1 AS a")
    server.stop()
    assert server.pid is None
    again = EmbeddedPostgres(server.folder, fsync=False)
    with again:
        assert again.url == url
        with psycopg.connect(again.url) as session:
            assert session.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_wrong_password_and_other_addresses_are_refused(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://hub:wrong@127.0.0.1:{server.port}/hub")
    with psycopg.connect(server.url) as session:
        listening = session.execute("SHOW listen_addresses").fetchone()
        sockets = session.execute("SHOW unix_socket_directories").fetchone()
    assert listening == ("127.0.0.1",)
    assert sockets == ("",)
    assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600


def test_a_killed_server_starts_again_on_its_port(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as session:
        session.execute("CREATE TABLE t AS SELECT 1 AS a")
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert server.start() == url
    with psycopg.connect(url) as session:
        assert session.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_an_immediate_stop_empties_unlogged_tables_only(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS a")
        session.execute("CREATE UNLOGGED TABLE lost AS SELECT 1 AS a")
    server.stop("immediate")
    server.start()
    with psycopg.connect(url) as session:
        assert session.execute("SELECT a FROM kept").fetchall() == [(1,)]
        assert session.execute("SELECT a FROM lost").fetchall() == []


def test_a_folder_serves_one_owner_and_an_orphan_is_taken_over(server: EmbeddedPostgres) -> None:
    server.start()
    second = EmbeddedPostgres(server.folder, fsync=False)
    with pytest.raises(ConfigurationError, match="already in use"):
        second.start()
    assert second.url_if_running() == server.url
    assert server._claim is not None
    server._claim.close()  # as if the first owner had been killed
    server._claim = None
    with second:
        assert second.pid
        assert second.pid != server._server.pid  # type: ignore[union-attr]


def test_a_busy_port_is_a_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = EmbeddedPostgres(tmp_path / "pg", fsync=False, port=port)
        with pytest.raises(ConfigurationError, match=f"Port {port} .* busy"):
            server.start()
        assert server.pid is None
    server.destroy()


def test_an_interrupted_first_start_leaves_nothing_that_hinders_the_next(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(postgres_cluster.subprocess, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.start()
    home = postgres_binaries.home_of(server.folder)
    assert not (home / "data").exists()
    assert not (home / "password.draft").exists()
    assert server.start()


def test_a_full_disk_is_a_sentence(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_binaries, "_FREE_BYTES_NEEDED", 1 << 60)
    with pytest.raises(ConfigurationError, match="MB are free"):
        server.start()


def test_copied_programs_work_where_ours_cannot_be_reached(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_binaries, "_reachable", lambda _path: False)
    monkeypatch.setattr(postgres_binaries.os, "geteuid", lambda: 0)
    if os.getuid() != 0:  # the copy alone: only root needs and runs it
        postgres_binaries._copy(postgres_binaries._installed(), server.folder.parent / "programs")
        assert (server.folder.parent / "programs/embedded_postgres/pginstall/bin/postgres").exists()
        return
    with psycopg.connect(server.start()) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    copies = list(postgres_binaries.home_of(server.folder).glob("programs-*"))
    assert len(copies) == 1


def test_destroy_removes_every_trace(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", fsync=False)
    server.start()
    home = postgres_binaries.home_of(server.folder)
    server.destroy()
    assert not home.exists()
    assert not server.folder.exists()
