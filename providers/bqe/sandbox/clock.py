"""The sandbox's clock, which control can set, and the text forms of instants in answers."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime


class Clock:
    """UTC now, or the fixed instant that control has set."""

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        """Aware UTC."""
        return self.fixed or datetime.now(timezone.utc)

    def epoch(self) -> float:
        """Seconds since 1970."""
        return self.now().timestamp()

    def http_date(self) -> str:
        """For the Date header."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)

    def set(self, text: str | None) -> None:
        """Fix the clock at an ISO instant (naive = UTC), or let it run again."""
        if text is None:
            self.fixed = None
            return
        instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
        self.fixed = zoned.astimezone(timezone.utc)


def stamp(instant: datetime) -> str:
    """As records carry it: UTC without suffix, milliseconds without trailing zeros."""
    text = instant.strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = f"{instant.microsecond // 1000:03d}".rstrip("0")
    return f"{text}.{milliseconds}" if milliseconds else text
