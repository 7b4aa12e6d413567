"""A clock that moves only when somebody sleeps on it or a test says so."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone

START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


class FakeClock:
    """Fulfils ports.Clock; `slept` lists every sleep in seconds."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += max(0.0, seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed += seconds


class QuickClock(FakeClock):
    """Real time, two hundred times as fast: for deadlines that pass while we read."""

    def monotonic(self) -> float:
        return time.monotonic() * 200

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 200)
