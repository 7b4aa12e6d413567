"""What no schema can say about the options of a rule together; each check yields problems with pointers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.problems import Problem, shown
from integrations_hub.domain.cron import Cron
from integrations_hub.domain.stamps import parse_instant
from integrations_hub.errors import RuleInvalid

_SOME_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AFTER_DATE = "delta_only_after_date"


def cross_problems(
    obj: ObjectMeta, body: Mapping[str, Any], now: datetime | None
) -> Iterator[Problem]:
    """`body`: the options that pass the schema, defaults filled in. `now` None judges no future."""
    for check in _CHECKS:
        yield from check(obj, body)
    yield from _since(body, now)


def _usable_cron(_: ObjectMeta, body: Mapping[str, Any]) -> Iterator[Problem]:
    schedule = body.get("schedule", {})
    if "cron" not in schedule:
        return
    try:
        Cron.parse(schedule["cron"], schedule.get("timezone", "UTC")).next_after(_SOME_DAY)
    except RuleInvalid as error:
        for problem in error.problems:
            value = schedule.get(problem["pointer"].rpartition("/")[2])
            yield Problem(problem["pointer"], _expectation(problem["message"]), shown(value))


def _expectation(message: str) -> str:
    if message.startswith("expected "):
        return message.removeprefix("expected ")
    return f"minute, hour, day of month, month, day of week ({message})"


def _first_run_fits(_: ObjectMeta, body: Mapping[str, Any]) -> Iterator[Problem]:
    """A rule that reads everything each time has no first run of changes only."""
    first = body.get("initialSyncMode", "full_once")
    if body.get("syncMode") == "full" and first != "full_once":
        yield Problem("/initialSyncMode", '"full_once", because syncMode is "full"', shown(first))


def _since(body: Mapping[str, Any], now: datetime | None) -> Iterator[Problem]:
    if "initialSyncMode" not in body or "initialSyncSince" not in body:
        return
    pointer, value = "/initialSyncSince", body["initialSyncSince"]
    wanted = body["initialSyncMode"] == _AFTER_DATE
    if value is None:
        if wanted:
            yield Problem(
                pointer, f'an instant, because initialSyncMode is "{_AFTER_DATE}"', "nothing"
            )
        return
    if not wanted:
        yield Problem(pointer, f'nothing unless initialSyncMode is "{_AFTER_DATE}"', shown(value))
    instant = parse_instant(value)
    if instant is None:
        yield Problem(
            pointer, "an instant with its zone such as 2026-01-31T00:00:00Z", shown(value)
        )
    elif instant < _EARLIEST:
        yield Problem(pointer, "an instant from 1970 on", shown(value))
    elif now is not None and instant > now:
        yield Problem(pointer, "an instant that is not in the future", shown(value))


def _each_field_once(_: ObjectMeta, body: Mapping[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, one in enumerate(body.get("filters", ())):
        if one["field"] in seen:
            pointer = f"/filters/{index}/field"
            yield Problem(pointer, "each field once (list all its values)", shown(one["field"]))
        seen.add(one["field"])


_CHECKS: tuple[Callable[[ObjectMeta, Mapping[str, Any]], Iterator[Problem]], ...] = (
    _usable_cron,
    _first_run_fits,
    _each_field_once,
)
