"""A resync: records to be read again, by as many runs as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OpenResync:
    """What runs since the request left unread of it. Stamps are naive UTC in the provider's clock.

    `since` None = everything. While `has_gap`, what lies from `gap_since` (None = from the beginning)
    to `gap_until` is unread; without a gap it still lacks the sweep that closes it.
    """

    id: int
    since: datetime | None
    until: datetime
    has_gap: bool
    gap_since: datetime | None
    gap_until: datetime | None
