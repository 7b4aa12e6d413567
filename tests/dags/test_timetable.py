"""The timetable through Airflow's own callers: schedule, grace, hold, backfill."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk.timezone import coerce_datetime
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction

from integrations_hub.domain.rule import Schedule
from integrations_hub.domain.schedule import next_run_after
from integrations_hub.orchestration.dag_factory import build_rule_dag
from integrations_hub.orchestration.timetable import HubTimetable
from tests.kit.airflow_env import as_rule

UTC = timezone.utc
QUARTER = Schedule(15, None)
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def serialized(**changes: Any) -> Any:
    return DagSerialization.from_dict(DagSerialization.to_dict(build_rule_dag(as_rule(**changes))))


def backfill(dag: Any, start: datetime, end: datetime) -> list[DagRunInfo]:
    return list(dag.iter_dagrun_infos_between(start, end))


@pytest.mark.parametrize("hold", [None, "resync_required"])
def test_a_backfill_of_thirty_days_is_thirty_windows_on_hold_or_not(hold: str | None) -> None:
    start = datetime(2026, 1, 1, 7, 30, 0, 123, tzinfo=UTC)
    end = start + timedelta(days=30)
    infos = backfill(serialized(hold_reason=hold), start, end)
    assert len(infos) == 30
    assert infos[0].data_interval.start == start
    assert infos[-1].data_interval.end == end
    for before, after in pairwise(infos):
        assert before.data_interval.end == after.data_interval.start


def test_the_last_window_of_a_backfill_ends_where_it_ends() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    infos = backfill(serialized(), start, start + timedelta(days=2, hours=5))
    assert [info.data_interval.end - info.data_interval.start for info in infos] == [
        timedelta(days=1),
        timedelta(days=1),
        timedelta(hours=5),
    ]


def test_backfill_windows_do_not_depend_on_the_clock() -> None:
    start = datetime(2036, 1, 1, tzinfo=UTC)
    assert len(backfill(serialized(), start, start + timedelta(days=3))) == 3


def test_an_empty_backfill_has_no_window() -> None:
    assert backfill(serialized(), NOW, NOW) == []


def test_hold_means_no_scheduled_run_but_a_timetable_that_can_be_backfilled() -> None:
    dag = serialized(hold_reason="needs_reauth")
    assert dag.next_dagrun_info(last_automated_run_info=None) is None
    assert dag.timetable.periodic
    assert dag.timetable.can_be_scheduled
    assert "needs_reauth" in dag.timetable.description
    assert dag.timetable.summary == "on hold (every 15 min ±10%)"


def test_airflows_scheduler_gets_the_run_that_the_hub_previews() -> None:
    dag = serialized()
    before = datetime.now(UTC)
    info = dag.next_dagrun_info(last_automated_run_info=None)
    expected = {
        next_run_after(QUARTER, dag.dag_id, before - timedelta(seconds=120)),
        next_run_after(QUARTER, dag.dag_id, datetime.now(UTC) - timedelta(seconds=120)),
    }
    assert info.run_after in expected
    assert info.data_interval == DataInterval.exact(info.run_after)
    following = dag.next_dagrun_info(last_automated_run_info=info)
    assert following.run_after == next_run_after(QUARTER, dag.dag_id, info.run_after)


def test_every_parse_gives_the_same_answer_until_the_grace_is_over() -> None:
    timetable = HubTimetable(QUARTER, "rule")
    last = next_run_after(QUARTER, "rule", NOW)
    due = next_run_after(QUARTER, "rule", last)
    for seconds in (-600, -1, 0, 1, 60, 119):
        assert timetable.next_scheduled(last, due + timedelta(seconds=seconds)) == due
    assert timetable.next_scheduled(last, due + timedelta(seconds=121)) > due


@pytest.mark.parametrize(
    ("schedule", "missed_by", "still_runs"),
    [
        (Schedule(1, None), timedelta(seconds=59), True),
        (Schedule(1, None), timedelta(seconds=90), False),
        (Schedule(15, None), timedelta(seconds=110), True),
        (Schedule(60, None), timedelta(minutes=5), True),
        (Schedule(60, None), timedelta(minutes=7), False),
        (Schedule(None, "0 6 * * *"), timedelta(hours=2), True),
        (Schedule(None, "0 6 * * *"), timedelta(hours=3), False),
    ],
)
def test_a_run_missed_in_an_outage_is_caught_up_within_the_grace_only(
    schedule: Schedule, missed_by: timedelta, still_runs: bool
) -> None:
    timetable = HubTimetable(schedule, "rule")
    last = next_run_after(schedule, "rule", NOW)
    due = next_run_after(schedule, "rule", last)
    assert (timetable.next_scheduled(last, due + missed_by) == due) is still_runs


def test_a_slot_from_before_the_schedule_was_in_force_is_not_overdue() -> None:
    daily = Schedule(1440, None)
    slot = next_run_after(daily, "rule", NOW)
    following = next_run_after(daily, "rule", slot)
    enabled = slot + timedelta(hours=1)
    late, early = (HubTimetable(daily, "rule", since=at) for at in (enabled, slot - timedelta(1)))
    assert late.next_scheduled(None, enabled + timedelta(seconds=5)) == following
    assert early.next_scheduled(None, enabled + timedelta(seconds=5)) == slot


def test_a_dag_knows_since_when_its_rule_is_enabled() -> None:
    dag = serialized(scheduled_since="2026-05-04T14:00:00+02:00")
    assert dag.timetable.since == NOW


def test_a_first_slot_stays_due_after_it_has_passed() -> None:
    slot = next_run_after(QUARTER, "rule", NOW)
    timetable = HubTimetable(QUARTER, "rule", since=slot - timedelta(seconds=1))
    for seconds in (-1, 0, 1, 119):
        assert timetable.next_scheduled(None, slot + timedelta(seconds=seconds)) == slot


def test_after_an_outage_rules_start_spread_out() -> None:
    back = NOW + timedelta(hours=5)
    starts = []
    for n in range(200):
        timetable = HubTimetable(QUARTER, f"rule{n}")
        last = next_run_after(QUARTER, f"rule{n}", NOW)
        starts.append(max(timetable.next_scheduled(last, back), back))
    at_once = sum(start == back for start in starts)
    assert at_once < 50
    assert max(starts) <= back + timedelta(minutes=18)


def test_catchup_without_an_end_is_no_backfill() -> None:
    restriction = TimeRestriction(coerce_datetime(NOW), None, catchup=True)
    info = HubTimetable(QUARTER, "rule").next_dagrun_info(
        last_automated_data_interval=None, restriction=restriction
    )
    assert info is not None
    assert info.run_after > datetime.now(UTC) - timedelta(seconds=121)


def test_a_manual_run_has_an_empty_interval() -> None:
    at = coerce_datetime(NOW)
    assert HubTimetable(QUARTER, "r").infer_manual_data_interval(run_after=at) == DataInterval(
        at, at
    )


def test_serialization_keeps_every_field() -> None:
    one = HubTimetable(Schedule(None, "0 6 * * 1", "Europe/Berlin"), "key", "why", since=NOW)
    two = HubTimetable.deserialize(one.serialize())
    assert vars(two) == vars(one)
    assert two.summary == one.summary


def test_a_dag_serialized_by_an_earlier_version_is_read() -> None:
    one = HubTimetable(QUARTER, "key")
    told = {name: value for name, value in one.serialize().items() if name != "since"}
    assert vars(HubTimetable.deserialize(told)) == vars(one)


def test_a_schedule_that_cannot_be_evaluated_is_refused_by_validate() -> None:
    with pytest.raises(AirflowTimetableInvalid, match="0 minutes"):
        HubTimetable(Schedule(0, None), "rule").validate()
