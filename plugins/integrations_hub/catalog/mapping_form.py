"""A mapping's lines as a document: the JSON Schema for one object, its judgement, and the lines as data."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.problems import Problem, pointer_of, schema_problems, shown
from integrations_hub.domain.conversion import converter
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import LOCAL_ENTITIES, LocalColumn
from integrations_hub.errors import MappingInvalid, RecordRejected

Line = dict[str, Any]
_DAY_TYPES = ("day", "datetime")
_STEPS = ("also", "trim", "case", "readDate", "writeDate", "decimals", "values", "default")


def schema(obj: ObjectMeta) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of this object's mapping: its fields, its local columns."""
    form: dict[str, Any] = json.loads(_template())
    form["title"] = f"Mapping of {obj.label}"
    names = form["items"]["properties"]
    names["target"]["enum"] = list(LOCAL_ENTITIES[obj.local_entity].column_names)
    names["source"]["enum"] = names["also"]["items"]["enum"] = mappable_fields(obj)
    return form


def mappable_fields(obj: ObjectMeta) -> list[str]:
    """Fields that a mapping may read."""
    denied = set(obj.deny_fields)
    return [f.key for f in obj.fields.values() if f.requestable and f.key not in denied]


def validate(obj: ObjectMeta, lines: Any) -> list[Line]:
    """A copy of `lines`. Raises MappingInvalid with all problems, each with its JSON pointer."""
    found = problems(obj, lines)
    if found:
        text = "; ".join(f"{problem.pointer or '/'}: {problem.text}" for problem in found)
        raise MappingInvalid(
            f"The mapping of {obj.label} cannot be used: {text}.",
            problems=[{"pointer": problem.pointer, "message": problem.text} for problem in found],
        )
    return copy.deepcopy(list(lines))


def problems(obj: ObjectMeta, lines: Any) -> list[Problem]:
    """What is wrong with lines, by pointer; none = they can be used."""
    found = schema_problems(schema(obj), lines)
    if not found:
        found = [*_whole(obj, lines)]
        for index, line in enumerate(lines):
            found += [
                Problem(pointer_of([index, *path]), expected, got)
                for path, expected, got in _line_problems(obj, line)
            ]
    return sorted(found, key=lambda problem: problem.pointer)


def field_map(obj: ObjectMeta, line: Line) -> FieldMap:
    """A judged line as data."""
    source = line.get("source", "")
    is_status = _column(obj, line).kind == "status"
    return FieldMap(
        source=source,
        source_type=obj.fields[source].type if source else "text",
        target=line["target"],
        required=line.get("required", False),
        values=line.get("values"),
        unknown=line.get("unknown", "keep_local" if is_status else "null"),
        also=tuple((name, obj.fields[name].type) for name in line.get("also", ())),
        separator=line.get("separator", " "),
        trim=line.get("trim", False),
        case=line.get("case"),
        date_in=line.get("readDate"),
        date_out=line.get("writeDate"),
        decimals=line.get("decimals"),
        default=line.get("default"),
        constant=line.get("constant"),
    )


def default_lines(obj: ObjectMeta) -> list[Line]:
    """The metadata's own mapping as a document."""
    found = []
    for entry in obj.mapping.entries:
        line: Line = {"source": entry.source, "target": entry.target}
        if entry.required:
            line["required"] = True
        if entry.values is not None:
            line |= {"values": dict(entry.values), "unknown": entry.unknown}
        found.append(line)
    return found


def reads(line: Line) -> list[str]:
    """Provider fields that a line names."""
    return [name for name in (line.get("source"), *line.get("also", ())) if name]


@lru_cache(maxsize=1)
def _template() -> str:
    return Path(__file__).with_name("mapping.schema.json").read_text("utf-8")


def _column(obj: ObjectMeta, line: Line) -> LocalColumn:
    columns = LOCAL_ENTITIES[obj.local_entity].columns
    return next(column for column in columns if column.name == line["target"])


def _whole(obj: ObjectMeta, lines: Sequence[Line]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, line in enumerate(lines):
        if line["target"] in seen:
            yield Problem(pointer_of([index, "target"]), "each column once", shown(line["target"]))
        seen.add(line["target"])
    for entry in obj.mapping.entries:
        if entry.required and entry.target not in seen:
            yield Problem("", f"a line that fills {entry.target}", "none")


_Found = tuple[tuple["str | int", ...], str, str]


def _line_problems(obj: ObjectMeta, line: Line) -> Iterator[_Found]:
    if "constant" in line:
        for name in _STEPS:
            if name in line:
                yield (name,), "nothing beside a constant", shown(line[name])
    if "values" in line and "also" in line:
        yield ("also",), "one field only, because values translates codes", shown(line["also"])
    if line.get("source") in line.get("also", ()):
        yield ("also",), "other fields than source", shown(line["source"])
    column = _column(obj, line)
    yield from _by_column(obj, line, column)
    for name in ("constant", "default"):
        if name in line:
            yield from _fits(obj, line, column, name)


def _by_column(obj: ObjectMeta, line: Line, column: LocalColumn) -> Iterator[_Found]:
    if "source" not in line:
        return
    kind = obj.fields[line["source"]].type
    if column.kind == "day" and kind not in _DAY_TYPES and "readDate" not in line:
        yield ("source",), f"a day for {column.name}, or readDate for its form", f"type {kind}"
    if column.kind == "day" and "writeDate" in line:
        yield ("writeDate",), f"nothing: {column.name} is a day", shown(line["writeDate"])
    if column.kind == "status" and "values" not in line:
        yield ("values",), f"local values by code for {column.name}", "nothing"
    if column.kind == "status" and line.get("unknown") == "null":
        yield ("unknown",), f"keep_local or reject: {column.name} is never empty", '"null"'
    if column.kind != "status" and line.get("unknown") == "keep_local":
        yield ("unknown",), f"reject or null: only a status is kept ({column.name})", '"keep_local"'
    if "writeDate" in line and kind not in _DAY_TYPES and "readDate" not in line:
        yield ("readDate",), "the form in which the provider writes the day", "nothing"
    yield from _codes(obj, line)


def _codes(obj: ObjectMeta, line: Line) -> Iterator[_Found]:
    labels = obj.fields[line["source"]].enum
    for code in line.get("values", {}) if labels else ():
        if code not in (labels or {}):
            yield ("values", code), f"a known code of {line['source']}", shown(code)


def _fits(obj: ObjectMeta, line: Line, column: LocalColumn, name: str) -> Iterator[_Found]:
    bare = {"target": line["target"], "constant": line[name]}
    try:
        converter(field_map(obj, bare), column)(line[name])
    except RecordRejected as rejected:
        what = rejected.message.partition(f"{column.name} ")[2]
        yield (name,), f"a value for {column.name}", f"one that {what}"
