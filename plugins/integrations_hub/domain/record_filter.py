"""Which records without a link a rule imports: every filter must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any


class RecordFilter:
    """Compiled once per run. `fields`: provider fields that it reads."""

    def __init__(self, filters: Sequence[Mapping[str, Any]]) -> None:
        self._allowed = {str(one["field"]): frozenset(one["in"]) for one in filters}
        self.fields = tuple(self._allowed)

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Whether one record is let in."""
        return all(_value(record.get(name)) in allowed for name, allowed in self._allowed.items())

    def each(self, columns: Mapping[str, Sequence[Any]]) -> Iterable[bool]:
        """`takes` of every record of a page, each field a column; endless without filters."""
        if not self._allowed:
            return repeat(True)
        held = [
            [_value(value) in self._allowed[name] for value in columns[name]]
            for name in self.fields
        ]
        return map(all, zip(*held, strict=True))


def _value(value: Any) -> bool | str | None:
    """As rules write it: codes are text, and may come as number, text or {"value": ...}."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return value if value is None or isinstance(value, bool) else str(value)
