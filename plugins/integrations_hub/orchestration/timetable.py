"""The one timetable of every Hub Dag: `domain.schedule` spoken in Airflow's words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.timezone import coerce_datetime
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

from integrations_hub.domain.rule import Schedule
from integrations_hub.domain.schedule import gap_after, next_run_after, summary
from integrations_hub.errors import RuleInvalid

if TYPE_CHECKING:
    from pendulum import DateTime

WINDOW = timedelta(hours=24)
_GRACE = timedelta(seconds=120)
_START = datetime(1970, 1, 1, tzinfo=timezone.utc)


class HubTimetable(Timetable):
    """Minutes or cron with phase, jitter, grace after an outage, hold, and coarse backfill windows.

    A backfill gets windows of 24 h from its own start, whatever the schedule: 30 days of a 15-minute rule are 30
    runs. A run that is overdue by more than the grace (120 s or 10 % of the gap, whichever is more, at most one
    gap) is dropped in favour of the next slot, so an outage does not end with every rule starting at once. Nothing
    is overdue from before `since`, when the schedule came into force.
    """

    def __init__(
        self,
        schedule: Schedule,
        rule_key: str,
        hold: str | None = None,
        *,
        since: datetime = _START,
    ) -> None:
        self.schedule = schedule
        self.rule_key = rule_key
        self.hold = hold
        self.since = since
        self.description = summary(schedule) + (f", on hold: {hold}" if hold else "")

    @property
    def summary(self) -> str:
        """Shown in Airflow's Dag list."""
        return f"on hold ({summary(self.schedule)})" if self.hold else summary(self.schedule)

    def serialize(self) -> dict[str, Any]:
        """Plain JSON; `deserialize` turns it back."""
        return {
            "minutes": self.schedule.minutes,
            "cron": self.schedule.cron,
            "timezone": self.schedule.timezone,
            "rule_key": self.rule_key,
            "hold": self.hold,
            "since": self.since.astimezone(timezone.utc).isoformat(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> HubTimetable:
        """The inverse of `serialize`."""
        schedule = Schedule(data["minutes"], data["cron"], data["timezone"])
        # a Dag that was serialized before there was one is read until it is parsed again
        since = datetime.fromisoformat(data["since"]) if "since" in data else _START
        return cls(schedule, data["rule_key"], data["hold"], since=since)

    def validate(self) -> None:
        """Raises AirflowTimetableInvalid for a schedule that can't be evaluated."""
        from airflow.exceptions import AirflowTimetableInvalid

        try:
            next_run_after(self.schedule, self.rule_key, datetime(2026, 1, 1, tzinfo=timezone.utc))
        except RuleInvalid as error:
            raise AirflowTimetableInvalid(error.message) from error

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """A manual run covers no window: the mark says what to read."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """The next scheduled run, or the next window of a backfill."""
        if restriction.catchup and restriction.latest is not None:
            return self._backfill_window(
                last_automated_data_interval, restriction.earliest, restriction.latest
            )
        if self.hold:
            return None
        last = last_automated_data_interval.end if last_automated_data_interval else None
        run = self.next_scheduled(last, self._now())
        return DagRunInfo.exact(coerce_datetime(run))

    def next_scheduled(self, last: datetime | None, now: datetime) -> datetime:
        """The next slot after `last`; one that is overdue beyond the grace gives way to a later one.

        The same answer for every `now` within the grace: Airflow asks again at each parse.
        """
        gap = gap_after(self.schedule, now)
        not_before = max(self.since, now - min(max(_GRACE, gap / 10), gap))
        return next_run_after(self.schedule, self.rule_key, max(last or not_before, not_before))

    @staticmethod
    def _now() -> datetime:
        return datetime.now(timezone.utc)

    @staticmethod
    def _backfill_window(
        last: DataInterval | None, earliest: DateTime | None, latest: DateTime
    ) -> DagRunInfo | None:
        # Only a backfill asks with catchup and an end (the Dags have neither). Clock-free: it is asked in a loop.
        start = last.end if last else earliest
        if start is None or start >= latest:
            return None
        return DagRunInfo.interval(start, min(start + WINDOW, latest))
