"""The options of a rule: the JSON Schema for one object, and the judgement of a body against it.

rule.schema.json is the template. An option whose every value the object's metadata makes meaningless is
left out; what the metadata decides is locked. What no schema can say stands in rule_checks.py.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from integrations_hub.catalog.metadata import Field, ObjectMeta
from integrations_hub.catalog.problems import Problem, schema_problems
from integrations_hub.catalog.rule_checks import cross_problems
from integrations_hub.domain.local_entity import LOCAL_ENTITIES
from integrations_hub.domain.stamps import parse_instant
from integrations_hub.errors import RuleInvalid

_POLICIES = [
    {"const": "follow", "title": "Follow the provider"},
    {"const": "preserve_local", "title": "Keep local edits"},
    {"const": "write_once", "title": "Only at the first import"},
]
_FILTER_TYPES = ("enum", "text", "boolean")
_LONGEST_TEXT = 255


def schema(obj: ObjectMeta) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a rule body for this object, with its defaults."""
    form: dict[str, Any] = json.loads(_template())
    form["title"] = f"Rule for {obj.label}"
    form["description"] = f"What to sync of {obj.label}, how and when."
    options = form["properties"]
    for name, fit in _FITS.items():
        if not fit(obj, options[name]):
            del options[name]
    for name, default in obj.defaults.items():
        if name in options:
            options[name]["default"] = copy.deepcopy(default)
    return form


def validate(
    obj: ObjectMeta, body: Mapping[str, Any], *, now: datetime | None = None
) -> dict[str, Any]:
    """A copy of `body` with every default filled in, instants in UTC.

    `now` (aware) is what "in the future" means; None lets every instant pass. Raises RuleInvalid with
    all problems at once.
    """
    form = schema(obj)
    found = _problems(form, obj, body, now)
    if found:
        lines = "; ".join(f"{problem.pointer or '/'}: {problem.text}" for problem in found)
        raise RuleInvalid(
            f"The rule for {obj.label} cannot be used: {lines}.",
            problems=[{"pointer": problem.pointer, "message": problem.text} for problem in found],
        )
    return _filled(form, body)


def effective(obj: ObjectMeta, body: Mapping[str, Any]) -> dict[str, Any]:
    """A stored body as today's form reads it: new options have their defaults, gone ones are left out.

    Judges nothing: a body that was edited by hand shows what it says.
    """
    return _filled(schema(obj), body)


def for_run(obj: ObjectMeta, body: Mapping[str, Any]) -> dict[str, Any]:
    """`effective`, refused when the metadata does not allow it any more (or somebody edited the row).

    Raises RuleInvalid.
    """
    return validate(obj, effective(obj, body))


def option_problems(obj: ObjectMeta, root: str) -> list[Problem]:
    """What is wrong with the object's own defaults, pointing below `root`."""
    found = _problems(schema(obj), obj, obj.defaults, None)
    return [Problem(f"{root}{p.pointer}", p.expected, p.got, p.hint) for p in found]


@lru_cache(maxsize=1)
def _template() -> str:
    return Path(__file__).with_name("rule.schema.json").read_text("utf-8")


# --- what the metadata makes of an option; False leaves it out ---


def _sync_mode(obj: ObjectMeta, option: dict[str, Any]) -> bool:
    if obj.capabilities.delta:
        option["default"] = "delta"
    else:
        option["oneOf"] = option["oneOf"][:1]
        _lock(option, f"The provider cannot list changes of {obj.label}.")
    return True


def _first_run(obj: ObjectMeta, option: dict[str, Any]) -> bool:
    if not obj.capabilities.delta:
        option["oneOf"] = option["oneOf"][:1]
        _lock(option, f"The provider cannot list changes of {obj.label}.")
    return True


def _first_run_since(obj: ObjectMeta, _: dict[str, Any]) -> bool:
    return obj.capabilities.delta


def _subprojects(obj: ObjectMeta, option: dict[str, Any]) -> bool:
    if obj.include_subprojects_locked:
        option["const"] = False
        _lock(option, f"Only top-level records of {obj.label} are loaded.")
    return obj.hierarchy is not None


def _filters(obj: ObjectMeta, option: dict[str, Any]) -> bool:
    fields = {
        field.key: field
        for field in obj.fields.values()
        if field.filterable and field.requestable and field.type in _FILTER_TYPES
    }
    item = option["items"]
    item["properties"]["field"]["enum"] = list(fields)
    item["allOf"] = [
        {
            "if": {"required": ["field"], "properties": {"field": {"const": key}}},
            "then": {"properties": {"in": {"items": _filter_value(field)}}},
        }
        for key, field in fields.items()
    ]
    return bool(fields)


def _filter_value(field: Field) -> dict[str, Any]:
    if field.type == "boolean":
        return {"type": "boolean"}
    if field.type == "enum" and field.enum:
        return {"enum": list(field.enum)}
    return {"type": "string", "minLength": 1, "maxLength": field.max_length or _LONGEST_TEXT}


def _client(obj: ObjectMeta, _: dict[str, Any]) -> bool:
    return any(entry.target == "client" for entry in obj.mapping.entries)


def _field_policies(obj: ObjectMeta, option: dict[str, Any]) -> bool:
    """The client has clientSyncPolicy; what nobody can edit locally has nothing to decide."""
    option["properties"] = {
        column.name: {"title": column.name, "type": "string", "oneOf": _POLICIES}
        for column in LOCAL_ENTITIES[obj.local_entity].columns
        if column.name != "client" and not column.provider_owned
    }
    return bool(option["properties"])


def _lock(option: dict[str, Any], reason: str) -> None:
    option["readOnly"] = True
    option["x-ui"]["lockedReason"] = reason


_FITS: Mapping[str, Callable[[ObjectMeta, dict[str, Any]], bool]] = {
    "syncMode": _sync_mode,
    "initialSyncMode": _first_run,
    "initialSyncSince": _first_run_since,
    "includeSubprojects": _subprojects,
    "filters": _filters,
    "clientSyncPolicy": _client,
    "fieldPolicies": _field_policies,
}


# --- judging and filling ---


def _problems(
    form: Mapping[str, Any], obj: ObjectMeta, body: Any, now: datetime | None
) -> list[Problem]:
    found = schema_problems(form, body)
    if isinstance(body, Mapping):
        broken = {problem.pointer.split("/")[1] for problem in found if problem.pointer}
        whole = _filled(form, {k: v for k, v in body.items() if k not in broken})
        sound = {name: value for name, value in whole.items() if name not in broken}
        found += cross_problems(obj, sound, now)
    return sorted(found, key=lambda problem: problem.pointer)


def _filled(form: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Whole options from their defaults, and the members of `guard` and a cron's zone as well."""
    options = form["properties"]
    given = copy.deepcopy(dict(body))
    filled = {name: given.get(name, option["default"]) for name, option in options.items()}
    for name, option in options.items():
        members = option.get("properties", {})
        if isinstance(filled[name], dict):
            defaults = {k: v["default"] for k, v in members.items() if "default" in v}
            filled[name] = {**defaults, **filled[name]}
    schedule = filled.get("schedule")
    if isinstance(schedule, dict) and "cron" in schedule:
        schedule.setdefault("timezone", "UTC")
    since = filled.get("initialSyncSince")
    instant = parse_instant(since) if isinstance(since, str) else None
    if instant is not None:
        filled["initialSyncSince"] = instant.isoformat().replace("+00:00", "Z")
    return filled
