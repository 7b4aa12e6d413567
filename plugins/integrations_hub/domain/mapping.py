"""From a provider's record to a local row: conversions as data, compiled once per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from typing import Any

from integrations_hub.domain.local_entity import LocalColumn, LocalEntity
from integrations_hub.errors import RecordRejected

_NUMBERS = ("integer", "decimal", "boolean")
_ZERO_GUID = "00000000-0000-0000-0000-000000000000"
Convert = Callable[[Any], "str | None"]


@dataclass(frozen=True)
class FieldMap:
    """One line of a mapping: `source` (a provider field of `source_type`) fills column `target`."""

    source: str
    source_type: str
    target: str
    required: bool = False
    values: Mapping[str, str] | None = None
    unknown: str = "keep_local"  # keep_local | reject | null


@dataclass(frozen=True)
class MappedRecord:
    """`values` in the entity's column order, text or None.

    `raw_status` is the provider's own status; `unknown` names fields whose value the mapping lacks
    (their column is None, which upsert reads as "keep the local value").
    """

    values: tuple[str | None, ...]
    raw_status: str | None
    unknown: tuple[str, ...]


def compile_mapping(
    lines: Sequence[FieldMap], entity: LocalEntity
) -> Callable[[Mapping[str, Any]], MappedRecord]:
    """A function record -> MappedRecord. It raises RecordRejected naming the field, never the value."""
    columns = {column.name: (i, column) for i, column in enumerate(entity.columns)}
    steps = [
        (*columns[line.target], line, _converter(line, columns[line.target][1])) for line in lines
    ]
    width = len(entity.columns)

    def map_record(record: Mapping[str, Any]) -> MappedRecord:
        values: list[str | None] = [None] * width
        unknown: list[str] = []
        raw_status = None
        for index, column, line, convert in steps:
            value = record.get(line.source)
            if value is None:
                if line.required:
                    raise _rejected(line, "is missing", "MISSING_VALUE")
                continue
            if line.values is not None:
                raw = _enum_key(value, line)
                if column.kind == "status":
                    raw_status = raw
                values[index] = _translate(raw, line, unknown)
            else:
                values[index] = convert(value)
            if line.required and not values[index]:
                raise _rejected(line, "is empty", "MISSING_VALUE")
        return MappedRecord(tuple(values), raw_status, tuple(unknown))

    return map_record


def _translate(raw: str, line: FieldMap, unknown: list[str]) -> str | None:
    local = (line.values or {}).get(raw)
    if local is None and line.unknown == "reject":
        raise _rejected(line, "has a value that the mapping does not know", "UNKNOWN_VALUE")
    if local is None and line.unknown == "keep_local":
        unknown.append(line.source)
    return local


def _converter(line: FieldMap, column: LocalColumn) -> Convert:
    if column.kind == "day":
        return lambda value: _day(value, line)
    limit = column.max_length
    clean = column.name == "project_number"
    kind = line.source_type

    def text(value: Any) -> str | None:
        if kind in _NUMBERS:
            value = str(value)
        if not isinstance(value, str):
            raise _rejected(line, f"should be text but is {_json_type(value)}", "WRONG_TYPE")
        if kind == "id" and value == _ZERO_GUID:
            return None
        if kind == "html":
            value = strip_html(value)
        if clean:
            value = value.strip()
        return _storable(value, line, limit)

    return text


def _storable(value: str, line: FieldMap, limit: int) -> str:
    if "\0" in value or not _encodes(value):
        raise _rejected(line, "holds a character that cannot be stored", "BAD_CHARACTER")
    if len(value) > limit:
        raise _rejected(line, f"is longer than {limit} characters", "TOO_LONG")
    return value


def _day(value: Any, line: FieldMap) -> str | None:
    """Calendar days are never moved between zones: the first ten characters are the day."""
    if not isinstance(value, str):
        raise _rejected(line, f"should be a day but is {_json_type(value)}", "WRONG_TYPE")
    if not value:
        return None
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise _rejected(line, "is not a day of the calendar", "BAD_DAY") from None


def _enum_key(value: Any, line: FieldMap) -> str:
    """A code may come as number, text, or {"value": ...}: all three were seen."""
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _rejected(line, f"should be a code but is {_json_type(value)}", "WRONG_TYPE")
    text = str(value)
    if len(text) > 100 or "\0" in text or not _encodes(text):
        raise _rejected(line, "is not a usable code", "WRONG_TYPE")
    return text


def _encodes(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rejected(line: FieldMap, what: str, code: str) -> RecordRejected:
    return RecordRejected(f"{line.source} {what}", pointer=f"/{line.source}", code=code)


def _json_type(value: Any) -> str:
    names = {
        bool: "true/false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "of another type")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def strip_html(text: str) -> str:
    """The text between the tags, entities resolved."""
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts).strip()
