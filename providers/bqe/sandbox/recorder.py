"""Every request that reached the sandbox, without token values, for tests to count."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from providers.bqe.sandbox.clock import Clock
from providers.bqe.sandbox.grants import token_hash

KEPT = 200_000
SECRET_PARAMETERS = frozenset(
    (
        "access_token",
        "refresh_token",
        "id_token",
        "client_secret",
        "code",
        "code_verifier",
        "token",
        "state",
    )
)


@dataclass
class Entry:
    """One request. `status` stays 0 when the connection was dropped unanswered."""

    method: str
    path: str
    params: dict[str, str]
    headers: list[str]
    host: str
    client: str | None
    body: dict[str, str]
    at: str
    arrived: float
    status: int = 0
    duration_ms: float = 0.0

    def shown(self) -> dict[str, Any]:
        """As control prints it: `query` decoded, body values left out."""
        return {
            "method": self.method,
            "path": self.path,
            "query": "&".join(f"{name}={value}" for name, value in self.params.items()),
            "params": self.params,
            "headers": self.headers,
            "host": self.host,
            "client": self.client,
            "body_keys": sorted(self.body),
            "grant_type": self.body.get("grant_type"),
            "time": self.at,
            "status": self.status,
            "duration_ms": round(self.duration_ms, 3),
        }


@dataclass
class Recorder:
    """Keeps the last 200,000 requests to identity and API; control requests are not among them.

    `secrets` holds every secret value that passed either way, so that a test can look for them elsewhere.
    """

    clock: Clock
    secrets: set[str] = field(default_factory=set)
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    in_flight: int = 0
    max_in_flight: int = 0

    def begin(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Entry:
        """Note an arrival; `headers` has lower-case names."""
        form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        sent = parse_qsl(query, keep_blank_values=True)
        posted = parse_qsl(body.decode("latin-1")) if form else []
        self._keep([*sent, *posted])
        entry = Entry(
            method=method,
            path=path,
            params=_redacted(sent),
            headers=list(headers),
            host=headers.get("host", ""),
            client=_client(headers.get("authorization", "")),
            body=_redacted(posted),
            at=self.clock.now().isoformat(),
            arrived=time.monotonic(),
        )
        self.entries.append(entry)
        if path.startswith("/api/"):
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return entry

    def answered(self, headers: Mapping[str, str], body: bytes) -> None:
        """Note what an identity answer hands out: tokens in JSON, a code in a redirect."""
        self._keep(parse_qsl(urlsplit(headers.get("location", "")).query))
        if headers.get("content-type", "").startswith("application/json") and len(body) < 100_000:
            found = json.loads(body)
            if isinstance(found, dict):
                self._keep(
                    [(name, value) for name, value in found.items() if isinstance(value, str)]
                )

    def _keep(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.secrets |= {value for name, value in pairs if name in SECRET_PARAMETERS and value}

    def end(self, entry: Entry) -> None:
        """Note the answer (its status is already in `entry`)."""
        entry.duration_ms = (time.monotonic() - entry.arrived) * 1000
        if entry.path.startswith("/api/"):
            self.in_flight -= 1

    def reset(self) -> None:
        """Forget everything but what is in flight."""
        self.entries.clear()
        self.max_in_flight = self.in_flight

    def summary(self) -> dict[str, Any]:
        """Counts; `max_per_minute` = most API requests in any 60 s of real time."""
        api = [entry for entry in self.entries if entry.path.startswith("/api/")]
        return {
            "total": len(self.entries),
            "api_total": len(api),
            "by_path": Counter(f"{entry.method} {entry.path}" for entry in self.entries),
            "by_status": Counter(str(entry.status) for entry in self.entries),
            "max_per_minute": _densest(entry.arrived for entry in api),
            "max_in_flight": self.max_in_flight,
        }


def _densest(arrivals: Iterable[float]) -> int:
    window: deque[float] = deque()
    most = 0
    for arrived in arrivals:
        window.append(arrived)
        while window[0] <= arrived - 60:
            window.popleft()
        most = max(most, len(window))
    return most


def _client(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token_hash(token)[:12] if scheme.lower() == "bearer" and token else None


def _redacted(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: "***" if name in SECRET_PARAMETERS else value for name, value in pairs}
