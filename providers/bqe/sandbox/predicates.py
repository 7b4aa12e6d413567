"""Predicates of the `where` language as values: what a clause means for one row.

Null follows SQL: a comparison with null is unknown, NOT unknown is unknown, and a row is kept only
when the whole clause is true.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.bqe.sandbox.schema import ZERO_GUID

Row = Mapping[str, Any]
Value = str | float | bool
Test = Callable[[Row], bool | None]

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,7})?)?")
_ZONED = re.compile(r".*\d(Z|[+-]\d\d:?\d\d)", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class WhereSyntaxError(Exception):
    """The clause is not of the language: a 400 (409 in 2019)."""


class WhereFieldError(Exception):
    """A field that does not exist or may not be filtered: a 400 naming it."""


class WhereSqlError(Exception):
    """The clause parses but its literal fails in the SQL layer: a 424."""


@dataclass(frozen=True)
class Node:
    """One predicate. `parts` are its conjuncts when it is an AND.

    `floor` is (op, value) when the node is `lastUpdated >` or `>=` a value, which a sorted list
    answers by bisection. `text` is the same for equal predicates and serves as a cache key.
    """

    text: str
    test: Test
    parts: tuple[Node, ...] = ()
    floor: tuple[str, str] | None = None

    def conjuncts(self) -> tuple[Node, ...]:
        """The nodes that must all be true."""
        return self.parts or (self,)


def comparison(field: str, kind: str, op: str, value: Value) -> Node:
    """`field op value`; `value` comes from `convert`."""
    floor = (op, str(value)) if field == "lastUpdated" and op in (">", ">=") else None
    read, compare = _reader(field, kind), COMPARE[op]

    def test(row: Row) -> bool | None:
        own = read(row)
        return None if own is None else compare(own, value)

    return Node(f"{field}{op}{value!r}", test, floor=floor)


def null(field: str, kind: str, *, negated: bool, zero_guid_is_null: bool) -> Node:
    """`field is [not] null`."""
    nulls: tuple[Any, ...] = (None,)
    if zero_guid_is_null and kind == "uuid":
        nulls = (None, "", ZERO_GUID)
    return Node(
        f"{field} null {negated} {len(nulls)}",
        lambda row: (row.get(field) in nulls) is not negated,
    )


def like(field: str, pattern: str) -> Node:
    """`field like pattern` with % and _, whatever the case."""
    matcher = re.compile(
        "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern),
        re.IGNORECASE | re.DOTALL,
    )

    def test(row: Row) -> bool | None:
        own = row.get(field)
        return None if own is None else matcher.fullmatch(str(own)) is not None

    return Node(f"{field} like {pattern!r}", test)


def member(field: str, kind: str, values: list[Value]) -> Node:
    """`field in (values)`."""
    read, wanted = _reader(field, kind), frozenset(values)

    def test(row: Row) -> bool | None:
        own = read(row)
        return None if own is None else own in wanted

    return Node(f"{field} in {sorted(map(repr, wanted))}", test)


def convert(text: str, kind: str) -> Value:
    """A literal as its field's kind compares it; raises WhereSqlError."""
    if kind == "datetime":
        if _ZONED.fullmatch(text) or not _DATETIME.fullmatch(text):
            raise WhereSqlError("Conversion failed when converting date and/or time.")
        return _plain_stamp(text)
    if kind in ("number", "bool"):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        try:
            return float(text)
        except ValueError:
            raise WhereSqlError("Conversion failed when converting to a number.") from None
    if kind == "uuid" and not _GUID.fullmatch(text):
        raise WhereSqlError("Conversion failed when converting to uniqueidentifier.")
    return text.casefold()


def _plain_stamp(text: str) -> str:
    """In the form of answers (no trailing zeros), in which text order is time order."""
    stamp = text if "T" in text else text + "T00:00:00"
    return stamp.rstrip("0").rstrip(".") if "." in stamp else stamp


def _reader(field: str, kind: str) -> Callable[[Row], Value | None]:
    if kind == "datetime":

        def stamp(row: Row) -> Value | None:
            own = row.get(field)
            return own if isinstance(own, str) else None

        return stamp
    if kind in ("number", "bool"):

        def number(row: Row) -> Value | None:
            own = row.get(field)
            return own if isinstance(own, (int, float)) else None

        return number

    def text(row: Row) -> Value | None:
        own = row.get(field)
        return None if own is None else str(own).casefold()

    return text


def all_of(nodes: list[Node]) -> Node:
    """AND, with the conjuncts kept apart."""
    parts = tuple(part for node in nodes for part in node.conjuncts())
    tests = [part.test for part in parts]

    def test(row: Row) -> bool | None:
        unknown = False
        for one in tests:
            result = one(row)
            if result is False:
                return False
            unknown = unknown or result is None
        return None if unknown else True

    return Node("(" + " and ".join(part.text for part in parts) + ")", test, parts)


def any_of(nodes: list[Node]) -> Node:
    """OR."""
    tests = [node.test for node in nodes]

    def test(row: Row) -> bool | None:
        unknown = False
        for one in tests:
            result = one(row)
            if result:
                return True
            unknown = unknown or result is None
        return None if unknown else False

    return Node("(" + " or ".join(node.text for node in nodes) + ")", test)


def inverse(node: Node) -> Node:
    """NOT."""

    def test(row: Row) -> bool | None:
        result = node.test(row)
        return None if result is None else not result

    return Node(f"not {node.text}", test)
