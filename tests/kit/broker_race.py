"""Many processes that want a token at the same moment, and what the identity server saw of it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from integrations_hub import wiring
from integrations_hub.refresh import seal_pair
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.vault.keyring import Keyring
from tests.kit.hub_process import clean_environment
from tests.kit.sandbox import SandboxProcess

TOKEN_PATH = "/idp/connect/token"
_ANSWER_S = 150


class BrokerProcess:
    """One process with its own broker. Leaving `with` ends it."""

    def __init__(self, environ: dict[str, str], **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.broker_worker"], env={**environ, **more},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answers: dict[int, dict[str, Any]] = {}
        self._lines: queue.Queue[str] = queue.Queue()
        self._orders = 0
        self.errors: list[str] = []
        for stream, take in (
            (self.process.stdout, self._lines.put),
            (self.process.stderr, self.errors.append),
        ):
            threading.Thread(target=_read, args=(stream, take), daemon=True).start()

    def __enter__(self) -> BrokerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def ready(self) -> None:
        """Wait until it takes orders."""
        assert "ready" in self._next(), self.errors

    def order(self, connection_id: int, *, for_s: float = 60.0, **more: Any) -> int:
        """Ask for a connection; returns the number to wait for."""
        self._orders += 1
        order = {"order": self._orders, "serve": connection_id, "for_s": for_s, **more}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._orders

    def answer(self, number: int) -> dict[str, Any]:
        """What became of an order."""
        while number not in self._answers:
            found = self._next()
            self._answers[found["order"]] = found
        return self._answers.pop(number)

    def serve(self, connection_id: int, **more: Any) -> dict[str, Any]:
        """One order to its end."""
        return self.answer(self.order(connection_id, **more))

    def killed(self) -> bool:
        """Wait for its end; whether SIGKILL ended it."""
        return self.process.wait(_ANSWER_S) == -signal.SIGKILL

    def finish(self) -> None:
        """Let it end once its refreshes are done."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def stop(self) -> None:
        """End it, refreshes under way included."""
        self.finish()
        if self.process.poll() is None:
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _next(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._lines.get(timeout=_ANSWER_S)))
        except queue.Empty:
            raise AssertionError(f"no answer; stderr: {''.join(self.errors)[-2000:]}") from None


def _read(stream: Any, take: Any) -> None:
    try:
        for line in stream:
            take(line)
    except ValueError:
        return  # closed by stop()


class BrokerRace:
    """One database, one sandbox and the settings that all processes share."""

    def __init__(self, url: str, sandbox: SandboxProcess, state: Path, **settings: str) -> None:
        self.url, self.sandbox = url, sandbox
        sandbox.control("POST", "/reset", {"grants": True})
        sandbox.switch(reuse_revokes_family=True)
        self.environ = clean_environment(
            state,
            HUB_DATABASE_URL=url,
            HUB_INSTANCE_ID="race",
            HUB_TESTING="1",
            INTEGRATIONS_SECRET_KEY=Keyring.new_key(),
            PYTHONPATH=os.pathsep.join(sys.path),
            **{**sandbox.settings(), **settings},
        )
        self._processes: list[BrokerProcess] = []

    def connect(self, key: str = "main") -> int:
        """A connection after a real consent, a grant family of its own."""
        grant = self.sandbox.grant(self.environ)
        made = self.keep(key, grant.access_token, grant.refresh_token, grant.api_base_url or "")
        self.sandbox.control("POST", "/requests/reset")
        return made

    def keep(self, key: str, access: str, refresh: str | None, api_base_url: str) -> int:
        """A connection with this pair, in an environment of its own; returns its id."""
        ring = wiring.keyring(self.environ)
        made = self.rows(
            "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
            " VALUES ('bqe', %(key)s, 'l', %(key)s) RETURNING id",
            key=key,
        )[0]["id"]
        database = Database.from_url(self.url)
        try:
            PostgresTokenStore(database, self.environ["HUB_INSTANCE_ID"]).save_connected(
                made,
                seal_pair(ring, made, access=access, refresh=refresh),
                expires_in_s=3600,
                api_base_url=api_base_url,
                company_id="company",
                actor="ann",
                request_id=None,
            )
        finally:
            database.close()
        return int(made)

    def start(self, count: int = 1, **more: str) -> list[BrokerProcess]:
        """Processes of this race; `more` are settings of theirs."""
        made = []
        for _ in range(count):
            made.append(BrokerProcess(self.environ, **more))
            self._processes.append(made[-1])
        for process in made:
            process.ready()
        return made

    def expire(self, *connection_ids: int) -> None:
        """The access tokens have ended."""
        self.execute(
            "UPDATE hub.integration_connection SET token_expires_at = clock_timestamp() - interval '1 s'"
            " WHERE id = ANY(%(ids)s)",
            ids=list(connection_ids),
        )

    def lapse(self) -> None:
        """Every claim and back-off has ended."""
        self.execute(
            "UPDATE hub.integration_connection SET refresh_claim_until = clock_timestamp() - interval '1 s'"
            " WHERE refresh_claim_until IS NOT NULL"
        )

    def slow(self, seconds: float, count: int = 1) -> None:
        """The next token answers take that long."""
        on = {"path": TOKEN_PATH, "count": count}
        self.sandbox.script({"delay_ms": int(seconds * 1000)}, **on)

    def posts(self) -> int:
        """Token requests that arrived since the last consent."""
        return sum(entry["path"] == TOKEN_PATH for entry in self.sandbox.requests())

    def view(self, connection_id: int) -> dict[str, Any]:
        """The row of hub_v_connection."""
        return self.rows("SELECT * FROM hub.hub_v_connection WHERE id = %(id)s", id=connection_id)[
            0
        ]

    def until(self, holds: Any, what: str) -> None:
        """Wait until it holds; fails after 60 s."""
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, f"never happened: {what}"
            time.sleep(0.02)

    def family_lives(self, connection_id: int) -> bool:
        """Whether the stored refresh token still works, asked by the Hub's own broker."""
        self.lapse()
        self.expire(connection_id)
        [process] = self.start()
        try:
            return bool(process.serve(connection_id, for_s=20)["state"] == "ready")
        finally:
            process.stop()

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.url, row_factory=psycopg.rows.dict_row, autocommit=True
        ) as session:
            return session.execute(sql, values).fetchall()

    def execute(self, sql: str, **values: Any) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(sql, values)

    def close(self) -> None:
        """End every process."""
        for process in self._processes:
            process.finish()
        for process in self._processes:
            process.stop()


def rounds(
    race: BrokerRace, processes: list[BrokerProcess], connection_id: int, count: int
) -> list[str]:
    """Expire the token `count` times under all processes; every violation in words, none when all is well."""
    wrong = []
    for number in range(count):
        before = race.posts()
        race.expire(connection_id)
        orders = [(process, process.order(connection_id)) for process in processes]
        wrong += judge(
            [process.answer(order) for process, order in orders],
            race.posts() - before,
            f"round {number}",
        )
    if not race.family_lives(connection_id):
        wrong.append("the grant is dead")
    return wrong


def judge(answers: list[dict[str, Any]], posts: int, where: str) -> list[str]:
    """One round: one exchange, everybody got the same new token, no single answer took over 3 s."""
    wrong = []
    if posts != 1:
        wrong.append(f"{where}: {posts} exchanges")
    got = {
        (one["state"], one.get("version"), one.get("token"), one.get("reason")) for one in answers
    }
    if len(got) != 1 or {state for state, *_ in got} != {"ready"}:
        wrong.append(f"{where}: served {sorted(map(str, got))}")
    slowest = max(one["slowest_s"] for one in answers)
    if slowest > 3.0:
        wrong.append(f"{where}: one waited {slowest:.1f} s for an answer")
    return wrong
