"""The real clock."""

from __future__ import annotations

import time
from datetime import datetime, timezone


class SystemClock:
    """Fulfils ports.Clock."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds for measuring durations."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Negative counts as zero."""
        time.sleep(max(0.0, seconds))
