"""The request quota: so many answers a minute for each app (or company), on the sandbox's clock."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from providers.bqe.sandbox.clock import Clock
from providers.bqe.sandbox.switches import Switches

PERIOD = timedelta(seconds=60)


@dataclass(frozen=True)
class Verdict:
    """One request's share: headers for every answer, and how long to wait when refused."""

    headers: dict[str, str]
    wait_s: int = 0


class Quota:
    """Fixed windows by default: the first request opens one, the next after 60 s opens another."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._spent: dict[str, deque[datetime]] = {}

    def take(self, client_id: str, company: str) -> Verdict:
        """Spend one request; a refused one costs nothing."""
        limit = self._switches.quota_per_minute
        if limit <= 0:
            return Verdict({})
        now = self._clock.now()
        key = company if self._switches.quota_scope == "company" else client_id
        spent = self._spent.setdefault(key, deque())
        self._forget(spent, now)
        refused = len(spent) >= limit
        if not refused:
            spent.append(now)
        resets = spent[0] + PERIOD
        headers = {
            "X-Rate-Limit-Limit": "1m",
            "X-Rate-Limit-Remaining": str(limit - len(spent) if not refused else 0),
            "X-Rate-Limit-Reset": resets.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
        }
        wait_s = max(1, math.ceil((resets - now).total_seconds())) if refused else 0
        return Verdict(headers, wait_s)

    def reset(self) -> None:
        """Forget what was spent."""
        self._spent.clear()

    def _forget(self, spent: deque[datetime], now: datetime) -> None:
        if self._switches.quota_window == "sliding":
            while spent and spent[0] + PERIOD <= now:
                spent.popleft()
        elif spent and spent[0] + PERIOD <= now:
            spent.clear()
