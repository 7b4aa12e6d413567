"""One resource of one company: rows in default order, their changes, and sorted lookups of them."""

from __future__ import annotations

import base64
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from providers.bqe.sandbox.predicates import Node, Row
from providers.bqe.sandbox.schema import Schema

Record = dict[str, Any]
Order = tuple[tuple[str, bool], ...]

BY_STAMP: Order = (("lastUpdated", False),)
BY_ID: Order = (("id", False),)
FIRST_ROWVERSION = 0xC30000
KEPT_ORDERS = 12
_generations = itertools.count()


class Table:
    """Rows by id. The dict's order is the default order: an updated row moves to its end.

    `version` rises with every change; with `generation` it makes cache keys.
    """

    def __init__(self, schema: Schema, rows: Callable[[], Iterable[Record]]) -> None:
        self.schema = schema
        self.version = 0
        self.generation = next(_generations)
        self.changed: dict[str, Record] = {}
        self.deleted: set[str] = set()
        self._seed = rows
        self._rows: dict[str, Record] | None = None
        self._views: dict[tuple[str, Order], tuple[list[Record], list[str]]] = {}

    @property
    def rows(self) -> dict[str, Record]:
        """All rows, made on first use."""
        if self._rows is None:
            self._rows = {row["id"]: row for row in self._seed()}
            for gone in self.deleted:
                self._rows.pop(gone, None)
            for record_id, row in self.changed.items():
                self._rows.pop(record_id, None)
                self._rows[record_id] = row
        return self._rows

    def put(self, row: Record) -> None:
        """Insert or replace; the row becomes the last of the default order."""
        rows, record_id = self.rows, row["id"]
        self.deleted.discard(record_id)
        for holder in (rows, self.changed):
            holder.pop(record_id, None)
            holder[record_id] = row
        self._bump()

    def delete(self, record_id: str) -> None:
        """Remove a row that exists."""
        del self.rows[record_id]
        self.changed.pop(record_id, None)
        self.deleted.add(record_id)
        self._bump()

    def restore(self, changed: dict[str, Record], deleted: Iterable[str]) -> None:
        """Take over the changes of an earlier process; only before the first read."""
        self.changed, self.deleted = changed, set(deleted)
        self.version = len(changed) + len(self.deleted)

    def select(self, where: Node | None, order: Order) -> tuple[list[Record], int]:
        """Matching rows in order, and the index at which they start in the returned list.

        A floor on lastUpdated in a list ordered by it is answered by bisection.
        """
        parts = where.conjuncts() if where else ()
        if order[:1] != BY_STAMP or order[1:] not in ((), BY_ID):
            return self._view(parts, order)[0], 0
        floors = [part.floor for part in parts if part.floor]
        rows, stamps = self._view(tuple(part for part in parts if not part.floor), BY_STAMP)
        starts = (
            bisect_left(stamps, value) if op == ">=" else bisect_right(stamps, value)
            for op, value in floors
        )
        return rows, max(starts, default=0)

    def _view(self, parts: tuple[Node, ...], order: Order) -> tuple[list[Record], list[str]]:
        key = (" and ".join(part.text for part in parts), order)
        found = self._views.get(key)
        if found is None:
            if len(self._views) >= KEPT_ORDERS:
                self._views.pop(next(iter(self._views)))
            rows = self._sorted(order) if not parts else _matching(self._view((), order)[0], parts)
            stamps = [_text(row, "lastUpdated") for row in rows] if order == BY_STAMP else []
            found = self._views[key] = (rows, stamps)
        return found

    def _sorted(self, order: Order) -> list[Record]:
        rows = list(self.rows.values())
        if not order:
            return rows
        rows.sort(key=lambda row: str(row["id"]))
        for field, descending in reversed(order):
            rows.sort(key=_sort_key(field, self.schema.kinds[field]), reverse=descending)
        return rows

    def _bump(self) -> None:
        self.version += 1
        self._views.clear()


def rowversion(counter: int) -> str:
    """The `version` of a row after `counter` writes in its database: 8 bytes in base64."""
    return base64.b64encode((FIRST_ROWVERSION + counter).to_bytes(8, "big")).decode()


def _matching(rows: list[Record], parts: tuple[Node, ...]) -> list[Record]:
    tests = [part.test for part in parts]
    if len(tests) == 1:
        only = tests[0]
        return [row for row in rows if only(row)]
    return [row for row in rows if all(test(row) for test in tests)]


def _text(row: Row, field: str) -> str:
    own = row.get(field)
    return own if isinstance(own, str) else ""


def _sort_key(field: str, kind: str) -> Callable[[Record], Any]:
    if kind in ("number", "bool"):

        def number(row: Record) -> tuple[bool, float]:
            own = row.get(field)
            known = isinstance(own, (int, float))
            return (known, own if isinstance(own, (int, float)) else 0)

        return number
    if kind == "datetime":
        return lambda row: _text(row, field)
    return lambda row: _text(row, field).casefold()
