"""Providers' time stamps: read tolerantly, floored to what a filter can express, written back. Naive UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import cast

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
# with six fraction digits or none, datetime.fromisoformat reads it alike in every Python
_USUAL = re.compile(r"\d{4}-[01]\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII).fullmatch


def parse_stamp(text: str) -> datetime | None:
    """Naive UTC of an ISO date and time; None when it is none.

    0 to 9 fraction digits (what is finer than a microsecond is cut off); `Z` or an offset is
    converted, no zone means UTC.
    """
    if 19 <= len(text) <= 26 and _plain(text):
        try:
            return datetime.fromisoformat(text if len(text) == 19 else text.ljust(26, "0"))
        except ValueError:
            return None
    match = _STAMP.fullmatch(text)
    return _of(match) if match else None


def parse_stamps(texts: Sequence[str | None]) -> list[datetime | None]:
    """parse_stamp of each, None of None; texts of the usual forms are read all at once."""
    if None not in texts and all(map(_USUAL, cast("Sequence[str]", texts))):
        usual = [
            text if len(text) == 19 else text.ljust(26, "0")
            for text in cast("Sequence[str]", texts)
        ]
        with suppress(ValueError):
            return list(map(datetime.fromisoformat, usual))
    return [None if text is None else parse_stamp(text) for text in texts]


def parse_instant(text: str) -> datetime | None:
    """Aware UTC of an ISO date and time that names its zone; None when it is none."""
    match = _STAMP.fullmatch(text)
    stamp = _of(match) if match and (match[4] or match[5]) else None
    return stamp.replace(tzinfo=timezone.utc) if stamp else None


def _plain(text: str) -> bool:
    """The usual form without a zone; keeps out what only newer Pythons take."""
    if text[10] != "T" or text[16] != ":" or text[5] not in "01":
        return False
    return len(text) == 19 or (text[19] == "." and text[20:].isdigit())


def _of(match: re.Match[str]) -> datetime | None:
    day, time, fraction, _, sign, hours, minutes = match.groups()
    micro = (fraction or "0")[:6].ljust(6, "0")
    try:
        stamp = datetime.fromisoformat(f"{day}T{time}.{micro}")
        if sign is None:
            return stamp
        if int(hours) > 23 or int(minutes) > 59:
            return None
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return stamp - offset if sign == "+" else stamp + offset
    except (ValueError, OverflowError):
        return None


def floor_to(stamp: datetime, seconds: int) -> datetime:
    """The last multiple of `seconds` (counted from midnight) at or before `stamp`; `seconds` >= 1."""
    into_day = stamp.hour * 3600 + stamp.minute * 60 + stamp.second
    return stamp - timedelta(seconds=into_day % seconds, microseconds=stamp.microsecond)


def format_stamp(stamp: datetime, fmt: str) -> str:
    """`stamp` (naive UTC, or aware and then converted) by a strftime format; the year has four digits."""
    if stamp.tzinfo is not None:
        stamp = stamp.astimezone(timezone.utc)
    # strftime leaves out the leading zeros of early years on Linux
    return stamp.strftime(fmt.replace("%Y", f"{stamp.year:04d}"))
