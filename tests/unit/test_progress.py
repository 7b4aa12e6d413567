"""How far a run is, and when its reading ends."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from integrations_hub.admin.progress import progress_of
from integrations_hub.domain.run import Run

NOW = datetime(2026, 11, 27, 9, tzinfo=timezone.utc)


def run(**changes: Any) -> Run:
    """A run that has read 10 of 50 pages in 60 seconds."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Run))
    values |= {
        "stage": "fetch", "pages": 10, "records": 5000, "requests": 11,
        "listing": {"count_before": 25_000, "page_rows": 500},
        "stage_times": {"fetch": (NOW - timedelta(seconds=60)).isoformat()},
    }  # fmt: skip
    return Run(**{**values, **changes})


def test_the_end_comes_at_the_pace_so_far() -> None:
    found = progress_of(run(), 80, NOW)
    assert (found.pages_done, found.pages_expected, found.records, found.requests) == (
        10,
        50,
        5000,
        11,
    )
    assert found.eta_s == 240  # 40 pages of 6 s


def test_no_pace_is_faster_than_the_budget() -> None:
    quick = run(stage_times={"fetch": (NOW - timedelta(seconds=1)).isoformat()})
    assert progress_of(quick, 60, NOW).eta_s == 40


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"listing": {}}, None),
        ({"listing": {"count_before": 25_000}}, None),
        ({"listing": {"count_before": 0}, "pages": 0}, 0),
        ({"witness": {"pages": 10}, "stage": "upsert"}, 10),
        ({"ended_at": NOW}, 50),
        ({"stage_times": {}}, 50),
    ],
)
def test_an_end_that_is_not_known_is_not_told(
    changes: dict[str, Any], expected: int | None
) -> None:
    found = progress_of(run(**changes), 80, NOW)
    assert (found.pages_expected, found.eta_s) == (expected, None)


def test_a_list_that_grew_meanwhile_never_shows_more_done_than_expected() -> None:
    found = progress_of(run(pages=51), 80, NOW)
    assert (found.pages_expected, found.eta_s) == (51, 0)
