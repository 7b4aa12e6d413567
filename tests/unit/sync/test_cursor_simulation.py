"""Hours of changes at a provider whose stamps lag, repeat and disagree: which way of reading loses none.

The window of each poll is plan's own. Beside it run the two ways that look right and are not: "later
than the last stamp" and "since the last run began".
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import RunRequest
from integrations_hub.sync.window import WindowChoice

START = datetime(2026, 3, 1, 8)
POLL_S = 60.0
RECORDS = 2000
CHANGES_PER_S = 0.2
RULE = Rule(1, 1, "a", "A", "bqe", "projects", 1, 1, True, None, START, {"syncMode": "delta"})
REQUEST = RunRequest("d", "r", 1, "manual")


@dataclass(frozen=True)
class Source:
    """Stamps are cut to `step_s`, come up to `late_s` after them, from machines `skew_s` apart."""

    step_s: float
    late_s: float
    skew_s: float


@dataclass
class Version:
    record: int
    number: int
    stamp: float
    visible: float


SOURCES = {
    "1 s stamps": Source(1, 0, 0),
    "1 ms stamps, 2 s late": Source(0.001, 2, 0),
    "30 s late, skew 2 s": Source(1, 30, 2),
    "30 s late, skew 120 s": Source(1, 30, 120),
}


def _history(source: Source, hours: float, seed: int) -> list[Version]:
    chance = random.Random(seed)
    versions, now, numbers = [], 0.0, [0] * RECORDS
    while now < hours * 3600:
        now += chance.expovariate(CHANGES_PER_S)
        record = chance.randrange(RECORDS)
        numbers[record] += 1
        machine = chance.uniform(-source.skew_s, source.skew_s) / 2
        stamp = (now + machine) // source.step_s * source.step_s
        versions.append(
            Version(record, numbers[record], stamp, now + chance.uniform(0, source.late_s))
        )
    return sorted(versions, key=lambda version: version.visible)


def _shipped(mark: float | None, _ran_at: float | None) -> float:
    """plan's window for a mark."""
    if mark is None:
        return float("-inf")
    obj: Any = SimpleNamespace(
        capabilities=SimpleNamespace(delta=True), overlap_s=300, cursor_precision_s=1
    )
    state = {
        "mark": START + timedelta(seconds=mark),
        "generation": 1,
        "resync_required": False,
        "seed": None,
        "sweep_age_s": 0.0,
        "sweep_tried_age_s": None,
    }
    since = WindowChoice(RULE, obj, state, None).of(REQUEST).since
    assert since is not None
    return (since - START).total_seconds()


def _later_than(mark: float | None, _ran_at: float | None) -> float:
    return float("-inf") if mark is None else mark + 1e-6


def _run_start(_mark: float | None, ran_at: float | None) -> float:
    return float("-inf") if ran_at is None else ran_at


def _lost(
    source: Source, hours: float, seed: int, since: Callable[[float | None, float | None], float]
) -> tuple[int, int]:
    """(records whose last version never arrived, changes) after polls until all is quiet."""
    history = _history(source, hours, seed)
    shown: dict[int, Version] = {}
    have: dict[int, int] = {}
    mark: float | None = None
    ran_at: float | None = None
    position, now = 0, 0.0
    while now < hours * 3600 + 600:
        now += POLL_S
        while position < len(history) and history[position].visible <= now:
            version = history[position]
            if version.record not in shown or version.number > shown[version.record].number:
                shown[version.record] = version
            position += 1
        start = since(mark, ran_at)
        read = [version for version in shown.values() if version.stamp >= start]
        have.update((version.record, version.number) for version in read)
        mark = max([version.stamp for version in read], default=mark)
        ran_at = now
    lost = sum(have.get(record) != version.number for record, version in shown.items())
    return lost, len(history)


def _total(source: Source, since: Any, *, hours: float, seeds: int) -> tuple[int, int]:
    results = [_lost(source, hours, seed, since) for seed in range(seeds)]
    return sum(lost for lost, _ in results), sum(changes for _, changes in results)


@pytest.mark.parametrize("name", SOURCES)
def test_the_shipped_window_loses_no_change(name: str) -> None:
    assert _total(SOURCES[name], _shipped, hours=1, seeds=2)[0] == 0


@pytest.mark.parametrize("since", [_later_than, _run_start], ids=["later than", "run start"])
def test_the_ways_that_look_right_lose_changes(since: Any) -> None:
    assert _total(SOURCES["30 s late, skew 2 s"], since, hours=1, seeds=2)[0] > 0


@pytest.mark.deep
@pytest.mark.parametrize("name", SOURCES)
def test_the_shipped_window_loses_no_change_in_six_times_six_hours(name: str) -> None:
    lost, changes = _total(SOURCES[name], _shipped, hours=6, seeds=6)
    assert changes > 25_000
    assert lost == 0


@pytest.mark.deep
@pytest.mark.parametrize("name", [name for name in SOURCES if "late" in name])
@pytest.mark.parametrize("since", [_later_than, _run_start], ids=["later than", "run start"])
def test_the_ways_that_look_right_lose_changes_in_six_hours(name: str, since: Any) -> None:
    assert _total(SOURCES[name], since, hours=6, seeds=6)[0] > 0
