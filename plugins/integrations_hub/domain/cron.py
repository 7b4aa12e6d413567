"""Five cron fields in a time zone, evaluated over the instants that exist there.

A local time that a clock change skips runs once, at the first valid instant after the gap; a local time that comes
twice runs the first time only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from integrations_hub.errors import RuleInvalid

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")
_HORIZON_DAYS = 366 * 9  # 29 February comes every 4 years, once every 8 around a century


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("", *_MONTHS)),
    _Field("day of week", 0, 7, _DAYS),
)


@dataclass(frozen=True)
class Cron:
    """A parsed expression. As in cron, a restricted day of month and a restricted day of week add up."""

    expression: str
    zone: ZoneInfo
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @staticmethod
    @lru_cache(maxsize=2048)
    def parse(expression: str, zone: str) -> Cron:
        """Raises RuleInvalid that names the field."""
        texts = expression.lower().split()
        if len(texts) != len(_FIELDS):
            raise _invalid(expression, f"it has {len(texts)} fields, expected 5")
        minute, hour, day, month, weekday = (
            _values(expression, text, field) for text, field in zip(texts, _FIELDS, strict=True)
        )
        return Cron(
            expression=expression,
            zone=_zone(zone),
            minutes=tuple(sorted(minute)),
            hours=tuple(sorted(hour)),
            days=frozenset(day),
            months=frozenset(month),
            weekdays=frozenset(value % 7 for value in weekday),
            either_day=not texts[2].startswith("*") and not texts[4].startswith("*"),
        )

    def next_after(self, after: datetime) -> datetime:
        """The first matching instant strictly after `after`, aware UTC."""
        local = after.astimezone(self.zone).replace(tzinfo=None)
        for candidate in self._local_times(local.replace(second=0, microsecond=0)):
            instant = _instant(candidate, self.zone)
            if instant > after:
                return instant
        raise _invalid(self.expression, "it never matches a date")

    def _local_times(self, start: datetime) -> Iterator[datetime]:
        for offset in range(_HORIZON_DAYS):
            day = start.date() + timedelta(days=offset)
            if not self._matches(day):
                continue
            for hour in self.hours:
                for minute in self.minutes:
                    moment = datetime.combine(day, time(hour, minute))
                    if moment >= start:
                        yield moment

    def _matches(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        return (in_month or in_week) if self.either_day else (in_month and in_week)


def _values(expression: str, text: str, field: _Field) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _invalid(expression, f"{part!r} in the field {field.name} is no value or range")
        low_text, high_text, step_text = match.groups()
        if low_text == "*":
            low, high = field.low, field.high
        else:
            low = _number(expression, low_text, field)
            open_end = step_text is not None and high_text is None
            high = field.high if open_end else _number(expression, high_text or low_text, field)
        step = int(step_text or 1)
        if step < 1 or low > high or (low_text == "*" and high_text):
            raise _invalid(expression, f"{part!r} in the field {field.name} is empty")
        values.update(range(low, high + 1, step))
    return values


def _number(expression: str, text: str, field: _Field) -> int:
    if text in field.words and text:
        return field.words.index(text)
    if not (text.isascii() and text.isdigit()) or not field.low <= int(text) <= field.high:
        raise _invalid(
            expression, f"{text!r} in the field {field.name} is not {field.low} to {field.high}"
        )
    return int(text)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise RuleInvalid(
            f"The schedule's time zone {name!r} is unknown.",
            problems=[{"pointer": "/schedule/timezone", "message": "expected an IANA time zone"}],
            hint="Use a name such as Europe/Berlin.",
        ) from error


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    if not _exists(local, zone):
        while not _exists(local - timedelta(minutes=1), zone):
            local -= timedelta(minutes=1)
    return local.replace(tzinfo=zone).astimezone(timezone.utc)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    there_and_back = local.replace(tzinfo=zone).astimezone(timezone.utc).astimezone(zone)
    return there_and_back.replace(tzinfo=None) == local


def _invalid(expression: str, why: str) -> RuleInvalid:
    return RuleInvalid(
        f"The schedule's cron expression {expression!r} can't be used: {why}.",
        problems=[{"pointer": "/schedule/cron", "message": why}],
        hint="Use five fields: minute, hour, day of month, month, day of week.",
    )
