"""What a stage asks of a provider's list, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ListQuery:
    """One listing. `since` is inclusive, `until` exclusive, both naive UTC in the provider's clock.

    `by_stamp`: ascending by the cursor field (incremental); otherwise by the immutable order field.
    """

    fields: tuple[str, ...]
    by_stamp: bool
    since: datetime | None = None
    until: datetime | None = None
    parent_only: bool = False


@dataclass(frozen=True)
class RawPage:
    """A page as it came: undecoded JSON array bytes (b"[]" for an empty answer).

    `provider_now`: the answer's Date header as naive UTC, None when absent.
    """

    body: bytes
    provider_now: datetime | None


"""A look-up by id: there and top-level, there below another, withheld (403), not there (404, 410), unclear."""


@dataclass(frozen=True)
class FilterProbe:
    """What a probe of the server-side parent filter found (D14).

    `verified`: a listing that read everything found exactly `filtered_count` top-level records.
    `page_size`: the most rows the provider gave on a page, when fewer than asked for.
    """

    accepted: bool
    note: str
    filtered_count: int | None = None
    verified: bool = False
    page_size: int | None = None
