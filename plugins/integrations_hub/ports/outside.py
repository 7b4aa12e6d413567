"""What reaches out of the house: clock, HTTP, the shared request budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class HttpResponse:
    """`headers` has lower-case names; `content` is the decompressed body, at most 20 MB."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpClient(Protocol):
    """Authorised GETs to one connection's API: budget, retry, one token renewal on 401, redaction.

    Answers 2xx only; everything else is raised as a leaf of errors.py by the provider's error rules.
    """

    requests: int  # sent so far, retries included

    def get(self, path: str, params: Mapping[str, str], *, absent_ok: bool = False) -> HttpResponse:
        """`absent_ok`: 404 and 410 come back as well, for a look-up by id."""


class Network(Protocol):
    """Whether hosts can be reached; sends nothing to them."""

    def resolve(self, url: str) -> list[str]:
        """Addresses. Raises ProviderUnreachable."""

    def connect(self, url: str) -> datetime | None:
        """The end of the certificate, None for plain http. Raises ProviderUnreachable."""


class FormPoster(Protocol):
    """Unauthorised form POST to an identity server; never retried unless provably unsent."""

    def post_form(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> HttpResponse:
        """`basic`: client id and secret for the Authorization header, not for the body."""


class Budget(Protocol):
    """The shared request budget of a connection and its provider (reservation rows in PostgreSQL)."""

    def acquire(self, heartbeat: Callable[[], None]) -> str:
        """Wait for the next slot and a place in flight; returns the token to release."""

    def release(self, token: str) -> None: ...

    def pause(self, seconds: float) -> None:
        """Push the connection's next slot forward for everyone (Retry-After)."""


@dataclass(frozen=True)
class BudgetSlot:
    """What an acquire found.

    `granted`: a place in flight is ours from `wait_s` seconds on; else every place is taken, or the
    next slot is `wait_s` away, which is further than we would wait.
    """

    granted: bool
    wait_s: float


class BudgetRows(Protocol):
    """The rows behind a Budget; one round trip per call, the database's clock only."""

    def acquire(
        self, token: str, provider_key: str, connection_id: int, *, max_wait_s: float
    ) -> BudgetSlot: ...

    def release(self, token: str) -> None: ...

    def pause(self, connection_id: int, seconds: float) -> None: ...

    def paused_for(self, provider_key: str, connection_id: int) -> float:
        """Seconds until nobody is asked to wait any more; 0 when nobody is."""

    def close(self) -> None: ...
