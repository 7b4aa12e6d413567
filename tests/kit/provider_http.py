"""The HTTP client of a provider on an invented connection: its budget counts, its tokens are renewed in order."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.transport.client import ProviderHttp
from tests.kit.acme import acme
from tests.kit.fake_time import FakeClock

JSON = {"Content-Type": "application/json"}


class FakeBudget:
    """Fulfils ports.Budget; counts the places that are taken and how many ever were at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken = self.most = self.total = 0
        self.pauses: list[float] = []

    def acquire(self, heartbeat):
        with self.lock:
            self.taken += 1
            self.total += 1
            self.most = max(self.most, self.taken)
        return "token"

    def release(self, token):
        with self.lock:
            self.taken -= 1

    def pause(self, seconds):
        self.pauses.append(seconds)


class Tokens:
    """lookup and reject of a connection: every rejected version is followed by the next one."""

    def __init__(self, url: str, *before_ready: str) -> None:
        self.url, self.version, self.states = url, 1, list(before_ready)
        self.rejected: list[int] = []
        self.lookups = 0

    def lookup(self) -> ServedConnection:
        self.lookups += 1
        state = self.states.pop(0) if self.states else "ready"
        if state != "ready":
            return ServedConnection(state, "acme", "main", reason="of a reason", hint="Do this.")
        return ServedConnection(
            "ready", "acme", "main", f"bearer-{self.version}", self.version, self.url
        )

    def reject(self, version: int) -> None:
        self.rejected.append(version)
        self.version = version + 1


@contextmanager
def client(tokens: Tokens, *, clock=None, provider=None, heartbeat=lambda: None, **environ: str):
    budget = FakeBudget()
    http = ProviderHttp(
        provider=provider or acme(),
        lookup=tokens.lookup,
        reject=tokens.reject,
        budget=budget,
        clock=clock or FakeClock(),
        heartbeat=heartbeat,
        request_id="run-7",
        environ={"ACME_ALLOWED_HOSTS": "127.0.0.1"} | environ,
    )
    with http:
        yield http, budget
    assert budget.taken == 0, "every place in flight was given back"
