"""A list request: its parameters checked and, against a table, its answer as bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from providers.bqe.sandbox import api_errors, where
from providers.bqe.sandbox.clock import stamp
from providers.bqe.sandbox.predicates import (
    Node,
    WhereFieldError,
    WhereSqlError,
    WhereSyntaxError,
)
from providers.bqe.sandbox.schema import Schema
from providers.bqe.sandbox.switches import Switches
from providers.bqe.sandbox.table import Order, Record, Table

DEFAULT_SIZE, MAX_SIZE, MAX_EXPANDED = 25, 1000, 100
CACHED_BYTES = 192_000_000
UUID_DIGITS = 8


@dataclass(frozen=True)
class Listing:
    """`fields` None = all. `shift_min` moves datetimes in answers (a switch)."""

    fields: tuple[str, ...] | None
    count: bool
    where: Node | None
    order: Order
    page: int
    size: int
    expand: frozenset[str]
    shift_min: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for requests with equal answers while the table does not change."""
        text = self.where.text if self.where else ""
        return (
            self.fields,
            self.count,
            text,
            self.order,
            self.page,
            self.size,
            self.expand,
            self.shift_min,
        )


def read(params: Mapping[str, str], schema: Schema, switches: Switches) -> Listing:
    """Check the parameters (names in any case); raises ApiError."""
    given = {name.lower(): value for name, value in params.items()}
    count = given.get("fields", "").replace(" ", "").lower() == "count(*)"
    if count and ("page" in given or "orderby" in given):
        raise api_errors.modern(400, "count(*) cannot be joined with 'orderBy' or 'page'.")
    expand = _expand(given.get("expand", ""), schema)
    page, size = _page(given.get("page", ""), MAX_EXPANDED if expand else MAX_SIZE, switches)
    return Listing(
        fields=None if count else _fields(given.get("fields", "*"), schema),
        count=count,
        where=_where(given.get("where", ""), schema, switches),
        order=_order(given.get("orderby", ""), schema),
        page=page,
        size=size,
        expand=expand,
    )


class PageCache:
    """Answers by request, the least recently used dropped beyond 192 MB."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """The answer, if it is kept."""
        found = self._pages.get(key)
        if found is not None:
            self._pages.move_to_end(key)
        return found

    def put(self, key: tuple[object, ...], body: bytes) -> None:
        """Keep an answer."""
        self._pages[key] = body
        self._bytes += len(body)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self._pages.popitem(last=False)[1])


def answer(listing: Listing, table: Table, switches: Switches, epoch_s: int) -> bytes:
    """The JSON body; empty when there is nothing to return (which is a 204)."""
    rows, start = table.select(listing.where, () if listing.count else listing.order)
    if switches.visible_percent < 100:
        rows, start = _visible(rows[start:], switches.visible_percent), 0
    if listing.count:
        number = {"count": len(rows) - start}
        return msgspec.json.encode([number] if switches.count_shape == "array" else number)
    first = start + (listing.page - 1) * listing.size
    page = rows[first : first + listing.size]
    if not page:
        return b""
    return msgspec.json.encode([shown(row, listing, table.schema, epoch_s) for row in page])


def shown(row: Record, listing: Listing, schema: Schema, epoch_s: int) -> Record:
    """One row as the answer carries it; a key that the row lacks is left out."""
    names = listing.fields
    plain = dict(row) if names is None else {name: row[name] for name in names if name in row}
    if "token" in plain:
        plain["token"] = epoch_s
    for name in listing.expand:
        if name in plain:
            plain[name] = _nested(name)
    if listing.shift_min:
        for name, value in plain.items():
            if schema.kinds[name] == "datetime" and isinstance(value, str):
                plain[name] = _shifted(value, listing.shift_min)
    return plain


def _fields(text: str, schema: Schema) -> tuple[str, ...] | None:
    asked = [name.strip() for name in text.split(",")]
    if asked == ["*"]:
        return None
    wanted: set[str] = set()
    for name in asked:
        field = schema.canonical(name)
        if field is None:
            raise api_errors.invalid_field("fields", name)
        if field in schema.refused:
            raise api_errors.sql_error(f"Invalid column name '{field}'.")
        wanted.add(field)
    return tuple(name for name in schema.kinds if name in wanted)


def _where(clause: str, schema: Schema, switches: Switches) -> Node | None:
    if not clause.strip():
        return None
    try:
        return where.parse(
            clause,
            schema,
            operators=frozenset(switches.operators),
            zero_guid_is_null=not switches.null_guid_hidden,
        )
    except WhereFieldError as error:
        raise api_errors.invalid_field("where", str(error)) from error
    except WhereSqlError as error:
        raise api_errors.sql_error(str(error)) from error
    except WhereSyntaxError as error:
        raise api_errors.invalid_where(str(error), legacy=switches.legacy_errors) from error


def _order(text: str, schema: Schema) -> Order:
    order: list[tuple[str, bool]] = []
    for term in text.split(",") if text.strip() else ():
        name, _, direction = term.strip().partition(" ")
        field = schema.canonical(name)
        if field is None or field not in schema.sortable:
            raise api_errors.invalid_field("orderBy", name)
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise api_errors.modern(400, f"Invalid 'orderBy' parameter. Direction: {direction}")
        order.append((field, direction.strip().lower() == "desc"))
    return tuple(order)


def _page(text: str, maximum: int, switches: Switches) -> tuple[int, int]:
    number, _, size = (text or "1").partition(",")
    try:
        page, wanted = int(number), int(size or min(DEFAULT_SIZE, maximum))
    except ValueError:
        page, wanted = -1, 0
    if page < 0 or wanted < 1 or (wanted > maximum and switches.page_overflow == "reject"):
        raise api_errors.modern(400, f"Invalid 'page' parameter. Value: {text}")
    return max(page, 1), min(wanted, maximum)  # page 0 is page 1: seen live


def _expand(text: str, schema: Schema) -> frozenset[str]:
    names: set[str] = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        field = schema.canonical(name)
        if field not in schema.nested:
            raise api_errors.invalid_field("expand", name)
        names.add(str(field))
    return frozenset(names)


def _visible(rows: list[Record], percent: int) -> list[Record]:
    return [row for row in rows if int(row["id"][:UUID_DIGITS], 16) % 100 < percent]


def _nested(name: str) -> Any:
    if name != "address":
        return []
    return {"street1": "1 Invented Street", "city": "Sampleton", "zip": "00000", "country": None}


def _shifted(text: str, minutes: int) -> str:
    try:
        return stamp(datetime.fromisoformat(text[:19]) + timedelta(minutes=minutes))
    except ValueError:
        return text
