"""From a provider's records to local rows: a mapping compiled once per run, used page by page.

A page is mapped column by column, so that what every value needs is done by a few calls for the whole
page; a page with an odd value is mapped record by record, and only the odd record is rejected. Both ways
give the same rows (a property test holds them together).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.conversion import ZERO_GUID, code_of, converter, rejected, storable
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import LocalColumn, LocalEntity

_TEXT_TYPES = {str, type(None)}
_CODE_TYPES = {int, str, type(None)}
_REMEMBERED = 50_000  # distinct days or codes of a run kept at hand
Column = list["str | None"]


@dataclass(frozen=True)
class MappedRecord:
    """`values` in the entity's column order, text or None.

    `raw_status` is the provider's own status; `unknown` names fields whose value the mapping lacks
    (their column is None, which upsert reads as "keep the local value").
    """

    values: tuple[str | None, ...]
    raw_status: str | None
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class MappedPage:
    """The rows of a page as columns; `unknown` counts per field what MappedRecord.unknown names."""

    columns: Sequence[Column]
    raw_status: Column
    unknown: Mapping[str, int]


class Mapper:
    """A compiled mapping; `sources` are the provider fields that it reads."""

    def __init__(self, lines: Sequence[FieldMap], entity: LocalEntity) -> None:
        places = {column.name: (i, column) for i, column in enumerate(entity.columns)}
        self._width = len(entity.columns)
        self._steps = [_step(line, *places[line.target]) for line in lines]
        self.sources = tuple(dict.fromkeys(name for line in lines for name in line.reads))

    def record(self, record: Mapping[str, Any]) -> MappedRecord:
        """One record. Raises RecordRejected naming the field, never the value."""
        values: list[str | None] = [None] * self._width
        unknown: list[str] = []
        raw_status = None
        for step in self._steps:
            value, raw = step.one(step.read(record), unknown)
            values[step.index] = value
            if step.is_status and raw is not None:
                raw_status = raw
            if step.line.required and not value:
                raise _missing(step.line, record)
        return MappedRecord(tuple(values), raw_status, tuple(unknown))

    def page(self, fields: Mapping[str, Sequence[Any]], count: int) -> MappedPage:
        """A page of `count` records, each source a column. Raises RecordRejected when one is odd."""
        columns: list[Column] = [[None] * count] * self._width
        raw_status: Column = [None] * count
        unknown: dict[str, int] = {}
        for step in self._steps:
            values, raws = step.many(step.read_all(fields, count), unknown)
            if step.line.required and not all(values):
                raise rejected(step.line, "is missing or empty", "MISSING_VALUE")
            columns[step.index] = values
            if step.is_status and raws is not None:
                raw_status = raws
        return MappedPage(columns, raw_status, unknown)


class _Step:
    """One line: any value by its converter; a plain text takes the short way for a whole page."""

    def __init__(self, line: FieldMap, index: int, column: LocalColumn) -> None:
        self.line, self.index, self.column = line, index, column
        self.convert = converter(line, column)
        self.is_status = column.kind == "status" and line.values is not None

    def read(self, record: Mapping[str, Any]) -> Any:
        line = self.line
        if line.constant is not None:
            return line.constant
        if line.also:
            return tuple(record.get(name) for name in line.reads)
        return record.get(line.source)

    def read_all(self, fields: Mapping[str, Sequence[Any]], count: int) -> Sequence[Any]:
        line = self.line
        if line.constant is not None:
            return [line.constant] * count
        if line.also:
            return list(zip(*(fields[name] for name in line.reads), strict=True))
        return fields[line.source]

    def one(self, value: Any, _unknown: list[str]) -> tuple[str | None, str | None]:
        return self.convert(value), None

    def many(self, values: Sequence[Any], _unknown: dict[str, int]) -> tuple[Column, Column | None]:
        convert = self.convert
        return [convert(value) for value in values], None


class _PlainText(_Step):
    """Text as it is: checked for the whole page in one piece."""

    def many(self, values: Sequence[Any], unknown: dict[str, int]) -> tuple[Column, Column | None]:
        if not set(map(type, values)) <= _TEXT_TYPES:
            return super().many(values, unknown)
        there = [*filter(None, values)]
        fits = max(map(len, there), default=0) <= self.column.max_length
        if (
            not fits
            or not storable("".join(there))
            or (self.line.source_type == "id" and ZERO_GUID in there)
        ):
            return super().many(values, unknown)
        if self.column.name == "project_number":
            return [value and value.strip() for value in values], None
        return list(values), None


class _Remembered(_Step):
    """Few distinct values on many records (days): each is converted once."""

    def __init__(self, line: FieldMap, index: int, column: LocalColumn) -> None:
        super().__init__(line, index, column)
        self._seen: dict[Any, str | None] = {}

    def many(self, values: Sequence[Any], unknown: dict[str, int]) -> tuple[Column, Column | None]:
        seen = self._seen
        if not set(map(type, values)) <= _TEXT_TYPES:
            return super().many(values, unknown)
        for value in set(values) - seen.keys():
            seen[value] = self.convert(value)
        found = [seen[value] for value in values]
        if len(seen) > _REMEMBERED:
            seen.clear()
        return found, None


class _Codes(_Step):
    """Codes to local values by the line's table."""

    def __init__(self, line: FieldMap, index: int, column: LocalColumn) -> None:
        super().__init__(line, index, column)
        self._finish = converter(_after_table(line), column)

    def one(self, value: Any, unknown: list[str]) -> tuple[str | None, str | None]:
        line = self.line
        if value is None:
            return self._finish(None), None
        raw = code_of(value, line)
        local = (line.values or {}).get(raw)
        if local is None and line.unknown == "reject":
            raise rejected(line, "has a value that the mapping does not know", "UNKNOWN_VALUE")
        if local is None and line.unknown == "keep_local":
            unknown.append(line.source)
            return None, raw
        return self._finish(local), raw

    def many(self, values: Sequence[Any], unknown: dict[str, int]) -> tuple[Column, Column | None]:
        if not set(map(type, values)) <= _CODE_TYPES:  # True equals 1 but is no code
            noted: list[str] = []
            pairs = [self.one(value, noted) for value in values]
        else:
            pairs, noted = self._by_code(values)
        if noted:
            unknown[self.line.source] = unknown.get(self.line.source, 0) + len(noted)
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def _by_code(
        self, values: Sequence[Any]
    ) -> tuple[list[tuple[str | None, str | None]], list[str]]:
        known: dict[Any, tuple[str | None, str | None]] = {}
        without: set[Any] = set()
        for value in set(values):
            noted: list[str] = []
            known[value] = self.one(value, noted)
            if noted:
                without.add(value)
        noted = [self.line.source for value in values if value in without] if without else []
        return [known[value] for value in values], noted


def _after_table(line: FieldMap) -> FieldMap:
    """What still happens to a translated value: case and default."""
    return FieldMap(line.source, "text", line.target, case=line.case, default=line.default)


def _step(line: FieldMap, index: int, column: LocalColumn) -> _Step:
    kind: Callable[..., _Step] = _Step
    if line.constant is None and line.values is not None:
        kind = _Codes
    elif column.kind == "day" and not line.also and line.constant is None:
        kind = _Remembered
    elif line.constant is None and line.plain and line.source_type in ("text", "id"):
        kind = _PlainText
    return kind(line, index, column)


def _missing(line: FieldMap, record: Mapping[str, Any]) -> Exception:
    absent = line.source not in record or record[line.source] is None
    return rejected(line, "is missing" if absent else "is empty", "MISSING_VALUE")
