"""What one object of provider.json must hold beyond the schema: every name leads to a usable field or column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from integrations_hub.catalog.problems import Problem, one_of, shown
from integrations_hub.catalog.sound import Sound
from integrations_hub.domain.local_entity import LOCAL_ENTITIES, LocalColumn

_DAY_TYPES = ("day", "datetime")


def object_problems(sound: Sound) -> list[Problem]:
    """`sound`: the view with the object as its root."""
    fields = _fields(sound)
    found = [*_entity(sound), *_parent_filter(sound)]
    return [*found, *(problem for check in _CHECKS for problem in check(sound, fields))]


def _fields(sound: Sound) -> dict[str, tuple[int, dict[str, Any]]]:
    """(index, field) by key; a field that is broken elsewhere still counts as a name."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for index in range(len(sound.get("fields", partly=True) or [])):
        key = sound.get("fields", index, "key")
        if isinstance(key, str):
            found.setdefault(key, (index, sound.get("fields", index, partly=True)))
    return found


_Fields = Mapping[str, tuple[int, dict[str, Any]]]


def _each_field_once(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    for index in range(len(sound.get("fields", partly=True) or [])):
        key = sound.get("fields", index, "key")
        if isinstance(key, str) and fields[key][0] != index:
            first = sound.pointer("fields", fields[key][0])
            yield Problem(
                sound.pointer("fields", index, "key"), f"each field once (see {first})", shown(key)
            )


def _one_identity(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    ids = [key for key, (_, field) in fields.items() if field.get("identity") is True]
    if fields and len(ids) != 1:
        got = ", ".join(ids) or "none"
        yield Problem(sound.pointer("fields"), "exactly one field with identity true", got)
    for key in ids:
        index, field = fields[key]
        if field.get("nullable", True) is not False:
            yield Problem(
                sound.pointer("fields", index, "nullable"), "false for the identity field", "true"
            )


def _enum_labels(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    for key, (index, field) in fields.items():
        if field.get("type") == "enum" and "enum" not in field:
            expected = f"labels by code, because {key} is of type enum"
            yield Problem(sound.pointer("fields", index, "enum"), expected, "nothing")
        if "enum" in field and field.get("type") != "enum":
            yield Problem(
                sound.pointer("fields", index, "type"),
                '"enum" beside enum labels',
                shown(field.get("type")),
            )


def _named_fields(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    """Cursor, order and hierarchy read fields that exist, may be requested, and have the right use."""
    uses: list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = [
        (("list", "order"), ("sortable",), ()),
        (("cursor", "field"), _cursor_uses(sound), ("datetime",)),
        (("hierarchy", "parentKey"), (), ()),
        (("hierarchy", "rootKey"), (), ()),
        (("hierarchy", "levelKey"), (), ()),
    ]
    for place, flags, types in uses:
        name = sound.get(*place)
        if not isinstance(name, str):
            continue
        pointer = sound.pointer(*place)
        yield from _usable(name, fields, pointer)
        _, field = fields.get(name, (0, {}))
        for flag in flags if field else ():
            if field.get(flag) is not True:
                yield Problem(pointer, f"a field that is {flag}", shown(name))
        if field and types and field.get("type") not in types:
            yield Problem(
                pointer,
                f"a field of type {' or '.join(types)}",
                f"{shown(name)} of type {field.get('type')}",
            )


def _cursor_uses(sound: Sound) -> tuple[str, ...]:
    return ("filterable", "sortable") if sound.get("capabilities", "delta") else ()


def _usable(name: str, fields: _Fields, pointer: str) -> Iterator[Problem]:
    if not fields:
        return
    if name not in fields:
        yield one_of(name, list(fields), pointer, "a field of this object")
    elif fields[name][1].get("requestable") is False:
        yield Problem(
            pointer, "a field that may be requested", f"{shown(name)}, which is not requestable"
        )


def _denied(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    for name in sound.get("denyFields") or []:
        index, field = fields.get(name, (0, {}))
        if field and field.get("requestable", True) is not False:
            expected = "false, because denyFields lists the field"
            yield Problem(sound.pointer("fields", index, "requestable"), expected, "true")
    for index, name in enumerate(sound.get("hashExclude") or []):
        if fields and name not in fields:
            yield one_of(
                name, list(fields), sound.pointer("hashExclude", index), "a field of this object"
            )


def _entity(sound: Sound) -> Iterator[Problem]:
    name = sound.get("localEntity")
    if isinstance(name, str) and name not in LOCAL_ENTITIES:
        yield one_of(name, sorted(LOCAL_ENTITIES), sound.pointer("localEntity"))


def _mapping(sound: Sound, fields: _Fields) -> Iterator[Problem]:
    entity = LOCAL_ENTITIES.get(sound.get("localEntity") or "")
    columns = {column.name: column for column in entity.columns} if entity else {}
    denied = set(sound.get("denyFields") or ())
    seen: set[str] = set()
    for index in range(len(sound.get("defaultMapping", partly=True) or [])):
        entry = sound.get("defaultMapping", index)
        if entry is None:
            continue
        pointer = sound.pointer("defaultMapping", index)
        source, target = entry["source"], entry["target"]
        if source in denied:
            yield Problem(
                f"{pointer}/source", "a field that denyFields does not list", shown(source)
            )
        else:
            yield from _usable(source, fields, f"{pointer}/source")
        if columns and target not in columns:
            yield one_of(target, list(columns), f"{pointer}/target", "a column")
        elif columns and source in fields:
            yield from _conversion(entry, fields[source][1], columns[target], pointer)
        if target in seen:
            yield Problem(f"{pointer}/target", "each column once", shown(target))
        seen.add(target)


def _conversion(
    entry: Mapping[str, Any], field: Mapping[str, Any], column: LocalColumn, pointer: str
) -> Iterator[Problem]:
    kind = field.get("type")
    if column.kind == "day" and kind not in _DAY_TYPES:
        yield Problem(
            f"{pointer}/source",
            f"a field of type day or datetime for {column.name}",
            f"type {kind}",
        )
    if column.kind == "status" and "values" not in entry:
        yield Problem(f"{pointer}/values", f"local values by code for {column.name}", "nothing")
    labels = field.get("enum")
    if "values" in entry and isinstance(labels, dict):
        for code in entry["values"]:
            if code not in labels:
                yield one_of(
                    code,
                    list(labels),
                    f"{pointer}/values/{code}",
                    f"a known code of {entry['source']}",
                )


def _parent_filter(sound: Sound) -> Iterator[Problem]:
    if sound.get("filters", "parentOnly") and sound.missing("hierarchy"):
        yield Problem(
            sound.pointer("hierarchy"), "a hierarchy, because filters has parentOnly", "nothing"
        )


_CHECKS: tuple[Callable[[Sound, _Fields], Iterator[Problem]], ...] = (
    _each_field_once,
    _one_identity,
    _enum_labels,
    _named_fields,
    _denied,
    _mapping,
)
