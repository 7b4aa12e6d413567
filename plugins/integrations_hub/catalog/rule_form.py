"""The options of a rule: the JSON Schema for one object, and the judgement of a body against it.

An option stands in rule.schema.json as soon as its behaviour exists, never before. What no schema can
say about several options together is a line in `_CROSS_CHECKS`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.problems import Problem, schema_problems, shown
from integrations_hub.domain.cron import Cron
from integrations_hub.errors import RuleInvalid

_SOME_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)


def schema(obj: ObjectMeta) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a rule body for this object, with its defaults."""
    text = Path(__file__).with_name("rule.schema.json").read_text("utf-8")
    form: dict[str, Any] = json.loads(text)
    form["title"] = f"Rule for {obj.label}"
    form["description"] = f"What to sync of {obj.label}, how and when."
    options = form["properties"]
    if obj.capabilities.delta:
        options["syncMode"]["default"] = "delta"
    else:
        options["syncMode"]["oneOf"] = options["syncMode"]["oneOf"][:1]
        _lock(options["syncMode"], f"The provider cannot list changes of {obj.label}.")
    if obj.hierarchy is None:
        del options["includeSubprojects"]
    elif obj.include_subprojects_locked:
        options["includeSubprojects"]["const"] = False
        _lock(options["includeSubprojects"], f"Only top-level records of {obj.label} are loaded.")
    if not any(entry.target == "client" for entry in obj.mapping.entries):
        del options["clientSyncPolicy"]
    for name, default in obj.defaults.items():
        if name in options:
            options[name]["default"] = copy.deepcopy(default)
    return form


def validate(obj: ObjectMeta, body: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `body` with every default filled in. Raises RuleInvalid with all problems at once."""
    form = schema(obj)
    found = _problems(form, obj, body)
    if found:
        lines = "; ".join(f"{problem.pointer or '/'}: {problem.text}" for problem in found)
        raise RuleInvalid(
            f"The rule for {obj.label} cannot be saved: {lines}.",
            problems=[{"pointer": problem.pointer, "message": problem.text} for problem in found],
        )
    return _filled(form, body)


def option_problems(obj: ObjectMeta, root: str) -> list[Problem]:
    """What is wrong with the object's own defaults, pointing below `root`."""
    found = _problems(schema(obj), obj, obj.defaults)
    return [Problem(f"{root}{p.pointer}", p.expected, p.got, p.hint) for p in found]


def _lock(option: dict[str, Any], reason: str) -> None:
    option["readOnly"] = True
    option["x-ui"]["lockedReason"] = reason


def _problems(form: Mapping[str, Any], obj: ObjectMeta, body: Any) -> list[Problem]:
    found = schema_problems(form, body)
    if isinstance(body, Mapping):
        broken = {problem.pointer.split("/")[1] for problem in found if problem.pointer}
        sound = {name: value for name, value in body.items() if name not in broken}
        found += [problem for check in _CROSS_CHECKS for problem in check(obj, sound)]
    return sorted(found, key=lambda problem: problem.pointer)


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


_CROSS_CHECKS: tuple[Callable[[ObjectMeta, Mapping[str, Any]], Iterator[Problem]], ...] = (
    _usable_cron,
)


def _filled(form: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    options = form["properties"]
    given = copy.deepcopy(dict(body))
    filled = {name: given.get(name, option["default"]) for name, option in options.items()}
    if "cron" in filled["schedule"]:
        filled["schedule"].setdefault("timezone", "UTC")
    return filled
