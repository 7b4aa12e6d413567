"""When and after how long a request is sent again (decision D19)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from integrations_hub.errors import RateLimited
from integrations_hub.transport.http_date import parse_http_date

LONGEST_WAIT_S = 30.0  # a longer wait is Airflow's: it frees the worker slot
_CAP_S = 86_400.0
Between = Callable[[float, "float | None"], None]


class HubRetry(Retry):
    """urllib3's Retry with what its plain form lacks.

    `Retry-After` is read leniently and capped, other waits have full jitter, waits above 30 s are
    raised as RateLimited, 408, 425, 500 and what the provider's metadata adds are retried too, and
    only methods that change nothing.
    `between(wait_s, told_s)` does the waiting; `told_s` is what Retry-After said, if anything.
    """

    ALSO_RETRIED = frozenset({408, 425, 500})

    def __init__(
        self,
        total: int | None = 5,
        *,
        backoff_factor: float = 0.5,
        status_forcelist: tuple[int, ...] | list[int] = (429, 502, 503, 504),
        between: Between | None = None,
        also_retried: frozenset[int] = frozenset(),
        **more: Any,
    ) -> None:
        more.setdefault("raise_on_status", False)
        more.setdefault("backoff_max", LONGEST_WAIT_S)
        super().__init__(
            total, backoff_factor=backoff_factor, status_forcelist=list(status_forcelist), **more
        )
        self.between = between
        self.also_retried = self.ALSO_RETRIED | also_retried

    def new(self, **kw: Any) -> HubRetry:
        """As urllib3's; keeps what this class adds."""
        made = super().new(**kw)
        made.between, made.also_retried = self.between, self.also_retried
        return made

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether this answer is worth another try."""
        if status_code in self.also_retried:
            return bool(self.total) and method.upper() in (self.allowed_methods or ())
        return super().is_retry(method, status_code, has_retry_after)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that the answer asks for, or None when it says nothing readable."""
        return parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))

    def get_backoff_time(self) -> float:
        """Full jitter: anything between nothing and the exponential step."""
        failures = max(0, len(self.history) - 1)
        ceiling = min(self.backoff_max, self.backoff_factor * (2.0**failures))
        return random.uniform(0.0, ceiling)  # noqa: S311 - spreads load, guards nothing

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next try. Raises RateLimited when the provider asks for more than 30 s."""
        told = self.get_retry_after(response) if response is not None else None
        wait = self.get_backoff_time() if told is None else told
        if self.between is not None:
            self.between(wait, told)
        elif wait > LONGEST_WAIT_S:
            raise too_long(wait)


def too_long(wait_s: float) -> RateLimited:
    """The error for a wait that belongs to Airflow."""
    return RateLimited(
        f"The provider asks us to wait {wait_s:.0f} s.",
        retry_after_s=wait_s,
        hint="Nothing to do: the work goes on by itself when the provider allows it.",
    )


def parse_retry_after(text: str | None, date: str | None = None) -> float | None:
    """Seconds from an int, a float or an HTTP-date (against `date`, the answer's own Date header).

    Negative or past means 0, more than a day counts as a day, garbage is None.
    """
    if text is None or not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, date)
    return min(max(seconds, 0.0), _CAP_S) if math.isfinite(seconds) else None


def _until(text: str, date: str | None) -> float | None:
    when = parse_http_date(text)
    if when is None:
        return None
    now = parse_http_date(date) or datetime.now(timezone.utc)
    return min(max((when - now).total_seconds(), 0.0), _CAP_S)
