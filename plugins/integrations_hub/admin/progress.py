"""How far a run is, and when it will be through with reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil

from integrations_hub.domain.run import Run
from integrations_hub.domain.stamps import parse_instant


@dataclass(frozen=True)
class Progress:
    """`pages_expected` None: the length of the list is not known (changes only, or not counted yet).

    `eta_s`: seconds until the last page, at the pace so far and within the budget; None when nothing
    is being read or the end is not known.
    """

    pages_done: int
    pages_expected: int | None
    records: int
    requests: int
    eta_s: int | None
    requests_per_minute: int


def progress_of(run: Run, requests_per_minute: int, now: datetime) -> Progress:
    """`now`: aware UTC."""
    expected = _pages_expected(run)
    return Progress(
        pages_done=run.pages,
        pages_expected=expected,
        records=run.records,
        requests=run.requests,
        eta_s=_eta_s(run, expected, requests_per_minute, now),
        requests_per_minute=requests_per_minute,
    )


def _pages_expected(run: Run) -> int | None:
    if run.witness is not None:
        return run.pages
    count, rows = run.listing.get("count_before"), run.listing.get("page_rows")
    if count is None or not rows:
        return 0 if count == 0 else None
    return max(ceil(int(count) / int(rows)), run.pages)


def _eta_s(run: Run, expected: int | None, requests_per_minute: int, now: datetime) -> int | None:
    entered = parse_instant(run.stage_times.get("fetch", ""))
    if run.ended or run.stage != "fetch" or expected is None or entered is None or not run.pages:
        return None
    spent_s = (now - entered).total_seconds()
    page_s = max(spent_s / run.pages, 60 / max(1, requests_per_minute))
    return ceil((expected - run.pages) * page_s)
