"""When a rule runs next: a pure function of schedule, rule key and instant. No clock, no randomness.

Intervals sit on a grid of their own: epoch + phase(rule) + n * interval, so rules with the same interval spread
over it, and a manual run shifts nothing (D7). Jitter is a hash of (rule, slot): at most 10 % of the gap, never
more than 15 minutes for intervals (either way) and 5 minutes for cron (only later, never early).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import sha256

from integrations_hub.domain.cron import Cron
from integrations_hub.domain.rule import Schedule
from integrations_hub.errors import RuleInvalid

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_INTERVAL_JITTER_S = 15 * 60
_MAX_CRON_JITTER_S = 5 * 60
_MAX_MINUTES = 366 * 24 * 60


def next_run_after(schedule: Schedule, rule_key: str, after: datetime) -> datetime:
    """The first run strictly after `after`, aware UTC, whole seconds.

    `rule_key` seeds phase and jitter: the rule's Dag id everywhere, so that previews equal Airflow's runs.

    Raises:
        RuleInvalid: the schedule can't be evaluated (interval out of range, bad cron, unknown zone).
    """
    after = after.astimezone(timezone.utc)
    if schedule.cron is not None:
        return _next_cron(Cron.parse(schedule.cron, schedule.timezone), rule_key, after)
    return _next_interval(_interval_s(schedule), rule_key, after)


def gap_after(schedule: Schedule, instant: datetime) -> timedelta:
    """The nominal distance (without jitter) between the two slots that follow `instant`."""
    if schedule.cron is None:
        return timedelta(seconds=_interval_s(schedule))
    cron = Cron.parse(schedule.cron, schedule.timezone)
    first = cron.next_after(instant)
    return cron.next_after(first) - first


def summary(schedule: Schedule) -> str:
    """A few words for lists, e.g. "every 15 min ±10%" or "0 6 * * * Europe/Berlin"."""
    if schedule.cron is not None:
        return f"{schedule.cron} {schedule.timezone}"
    ten_percent = (schedule.minutes or 0) * 6 <= _MAX_INTERVAL_JITTER_S
    return f"every {schedule.minutes} min {'±10%' if ten_percent else '±15 min'}"


def _interval_s(schedule: Schedule) -> int:
    minutes = schedule.minutes
    if minutes is None or not 1 <= minutes <= _MAX_MINUTES:
        raise RuleInvalid(
            f"The schedule's interval is {minutes} minutes; expected 1 to {_MAX_MINUTES}.",
            problems=[
                {"pointer": "/schedule/every/minutes", "message": f"expected 1 to {_MAX_MINUTES}"}
            ],
        )
    return minutes * 60


def _next_interval(step_s: int, rule_key: str, after: datetime) -> datetime:
    phase_s = _hash(rule_key, "phase") % step_s
    reach_s = min(step_s // 10, _MAX_INTERVAL_JITTER_S)
    slot = int((after - _EPOCH).total_seconds() - phase_s - reach_s) // step_s
    while True:
        jitter_s = _hash(rule_key, f"slot:{slot}") % (2 * reach_s + 1) - reach_s
        run = _EPOCH + timedelta(seconds=phase_s + slot * step_s + jitter_s)
        if run > after:
            return run
        slot += 1


def _next_cron(cron: Cron, rule_key: str, after: datetime) -> datetime:
    slot = cron.next_after(after - timedelta(seconds=_MAX_CRON_JITTER_S + 1))
    while True:
        following = cron.next_after(slot)
        reach_s = min(int((following - slot).total_seconds()) // 10, _MAX_CRON_JITTER_S)
        jitter_s = _hash(rule_key, slot.isoformat()) % (reach_s + 1)
        run = slot + timedelta(seconds=jitter_s)
        if run > after:
            return run
        slot = following


def _hash(rule_key: str, what: str) -> int:
    return int.from_bytes(sha256(f"{rule_key}|{what}".encode()).digest()[:8], "big")
