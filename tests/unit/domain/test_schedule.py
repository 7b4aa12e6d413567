"""The schedule promises of D7: anchored, jittered by hash, right across clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations_hub.domain.cron import Cron
from integrations_hub.domain.rule import Schedule
from integrations_hub.domain.schedule import gap_after, next_run_after, summary
from integrations_hub.errors import RuleInvalid

UTC = timezone.utc
BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(schedule: Schedule, key: str, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    for _ in range(count):
        after = next_run_after(schedule, key, after)
        found.append(after)
    return found


@given(
    minutes=st.integers(1, 10_000),
    key=st.text(max_size=20),
    after=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_interval_runs_are_strictly_later_and_no_run_lies_between(
    minutes: int, key: str, after: datetime
) -> None:
    schedule = Schedule(minutes, None)
    first = next_run_after(schedule, key, after)
    second = next_run_after(schedule, key, first)
    assert after < first < second
    assert next_run_after(schedule, key, first - timedelta(microseconds=1)) == first
    assert first - after <= timedelta(minutes=minutes * 1.2 + 0.1)


def test_interval_gaps_stay_within_ten_percent_each_way_and_average_to_the_interval() -> None:
    found = runs(Schedule(15, None), "a", at("2026-01-01"), 500)
    gaps = [(b - a).total_seconds() for a, b in pairwise(found)]
    assert min(gaps) >= 900 - 180
    assert max(gaps) <= 900 + 180
    assert len(set(gaps)) > 50
    assert abs(sum(gaps) / len(gaps) - 900) < 1


def test_jitter_of_a_long_interval_is_at_most_a_quarter_of_an_hour_each_way() -> None:
    found = runs(Schedule(24 * 60, None), "a", at("2026-01-01"), 100)
    gaps = [(b - a).total_seconds() for a, b in pairwise(found)]
    assert max(gaps) <= 86_400 + 1_800
    assert min(gaps) >= 86_400 - 1_800


def test_a_manual_run_shifts_nothing() -> None:
    schedule = Schedule(60, None)
    planned = runs(schedule, "a", at("2026-01-01"), 3)
    assert next_run_after(schedule, "a", planned[0] + timedelta(minutes=20)) == planned[1]


def test_rules_with_the_same_interval_spread_over_it() -> None:
    minutes = [
        int(
            (
                next_run_after(Schedule(15, None), f"rule{n}", at("2026-01-01")) - at("2026-01-01")
            ).seconds
            // 60
        )
        for n in range(200)
    ]
    assert max(minutes.count(minute) for minute in range(17)) < 30


def test_cron_is_never_early_and_at_most_five_minutes_late() -> None:
    for n in range(50):
        run = next_run_after(Schedule(None, "0 6 * * *"), f"rule{n}", at("2026-01-01"))
        assert at("2026-01-01T06:00:00") <= run <= at("2026-01-01T06:05:00")


def test_cron_of_every_minute_runs_every_minute() -> None:
    found = runs(Schedule(None, "* * * * *"), "a", at("2026-01-01"), 60)
    assert len({run.replace(second=0) for run in found}) == 60
    assert all(run.second <= 6 for run in found)


def test_a_run_that_is_late_by_jitter_is_not_lost_when_asked_after_its_slot() -> None:
    schedule = Schedule(None, "0 6 * * *")
    key = next(
        f"k{n}"
        for n in range(100)
        if next_run_after(schedule, f"k{n}", at("2026-01-01")).minute >= 2
    )
    assert (
        next_run_after(schedule, key, at("2026-01-01T06:01:00")).date() == at("2026-01-01").date()
    )


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 5 * * *", "2026-01-01T05:30:00", "2026-01-02T05:30:00"),
        ("*/20 * * * *", "2026-01-01T05:30:00", "2026-01-01T05:40:00"),
        ("5/20 * * * *", "2026-01-01T05:30:00", "2026-01-01T05:45:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
        ("0 8 * * mon-fri", "2026-01-02T08:00:00", "2026-01-05T08:00:00"),
        ("0 8 * * 7", "2026-01-01T00:00:00", "2026-01-04T08:00:00"),
        ("0 8 1 * 0", "2026-01-02T00:00:00", "2026-01-04T08:00:00"),
        ("0 8 */10 * 1", "2026-01-02T00:00:00", "2026-05-11T08:00:00"),
        ("0 9-17/4 * jan,jun *", "2026-01-31T17:00:00", "2026-06-01T09:00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:00", "2027-12-31T23:59:00"),
    ],
)
def test_cron_finds_the_next_match(expression: str, after: str, expected: str) -> None:
    assert Cron.parse(expression, "UTC").next_after(at(after)) == at(expected)


def test_a_skipped_local_time_runs_once_at_the_next_valid_instant() -> None:
    cron = Cron.parse("30 2 * * *", BERLIN)  # clocks jump from 02:00 to 03:00 on 29 March 2026
    first = cron.next_after(at("2026-03-28T12:00:00"))
    assert first == at("2026-03-29T01:00:00")
    assert cron.next_after(first) == at("2026-03-30T00:30:00")


def test_several_skipped_times_run_once_together() -> None:
    cron = Cron.parse("*/10 2,3 * * *", BERLIN)
    first = cron.next_after(at("2026-03-28T12:00:00"))
    assert first == at("2026-03-29T01:00:00")
    assert cron.next_after(first) == at("2026-03-29T01:10:00")


def test_a_doubled_local_time_runs_the_first_time_only() -> None:
    cron = Cron.parse("30 2 * * *", BERLIN)  # 03:00 goes back to 02:00 on 25 October 2026
    first = cron.next_after(at("2026-10-24T12:00:00"))
    assert first == at("2026-10-25T00:30:00")
    assert cron.next_after(first) == at("2026-10-26T01:30:00")


@given(
    after=st.datetimes(datetime(2026, 3, 27), datetime(2026, 10, 27), timezones=st.just(UTC)),
    expression=st.sampled_from(["*/10 * * * *", "30 2 * * *", "0 0 * * *", "15 1-3 * * *"]),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_cron_is_monotone_across_clock_changes(after: datetime, expression: str, zone: str) -> None:
    cron = Cron.parse(expression, zone)
    first = cron.next_after(after)
    assert first > after
    assert cron.next_after(first - timedelta(seconds=1)) == first
    local = first.astimezone(ZoneInfo(zone))
    previous = cron.next_after(first - timedelta(days=2))
    assert previous <= first
    assert local.second == 0


def test_a_whole_year_of_a_daily_cron_is_one_run_a_day() -> None:
    found = runs(Schedule(None, "30 2 * * *", BERLIN), "a", at("2025-12-31T12:00:00"), 365)
    days = {run.astimezone(ZoneInfo(BERLIN)).date() for run in found}
    assert len(days) == 365


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("0 0 * *", "4 fields"),
        ("60 0 * * *", "minute"),
        ("x 0 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 5-3 * * *", "hour"),
        ("0 */0 * * *", "hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * foo *", "month"),
        ("0 0 * * 8", "day of week"),
        ("*-3 0 * * *", "minute"),
        ("1,,2 0 * * *", "minute"),
        ("@daily", "1 fields"),
    ],
)
def test_a_bad_cron_names_the_field(expression: str, names: str) -> None:
    with pytest.raises(RuleInvalid, match=names) as caught:
        next_run_after(Schedule(None, expression), "a", at("2026-01-01"))
    assert caught.value.problems[0]["pointer"] == "/schedule/cron"


def test_a_cron_that_never_matches_is_refused() -> None:
    with pytest.raises(RuleInvalid, match="never"):
        next_run_after(Schedule(None, "0 0 30 2 *"), "a", at("2026-01-01"))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", ""])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(RuleInvalid) as caught:
        next_run_after(Schedule(None, "0 0 * * *", zone), "a", at("2026-01-01"))
    assert caught.value.problems[0]["pointer"] == "/schedule/timezone"


@pytest.mark.parametrize("minutes", [0, -5, 10_000_000])
def test_an_interval_out_of_range_is_refused(minutes: int) -> None:
    with pytest.raises(RuleInvalid) as caught:
        next_run_after(Schedule(minutes, None), "a", at("2026-01-01"))
    assert caught.value.problems[0]["pointer"] == "/schedule/every/minutes"


def test_gap_and_summary_speak_of_the_schedule() -> None:
    assert gap_after(Schedule(15, None), at("2026-01-01")) == timedelta(minutes=15)
    assert gap_after(Schedule(None, "0 6 * * *"), at("2026-01-01")) == timedelta(days=1)
    assert summary(Schedule(15, None)) == "every 15 min ±10%"
    assert summary(Schedule(1440, None)) == "every 1440 min ±15 min"
    assert summary(Schedule(None, "0 6 * * *", BERLIN)) == "0 6 * * * Europe/Berlin"
