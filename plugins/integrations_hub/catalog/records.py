"""Decoders built from metadata: a page of the provider's answer to what staging knows of it, one element to a dict.

Staging reads only what every record needs (id, parent, stamp); the page itself is kept as it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple, cast

import msgspec

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.domain.staged_page import StagedPage
from integrations_hub.domain.stamps import parse_stamp, parse_stamps
from integrations_hub.errors import PageUnreadable, RecordRejected

MAX_ID_LENGTH = 200
_read_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError)
# a string that never ends is taken to the end of the body, so that one pass is enough
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class Envelope(NamedTuple):
    """One record's entries of a StagedPage."""

    external_id: str | None
    parent_id: str | None
    stamp: datetime | None
    problem: str | None = None


_IDENT, _PARENT, _STAMP = attrgetter("ident"), attrgetter("parent"), attrgetter("stamp")


def page_decoder(obj: ObjectMeta) -> Callable[[bytes], StagedPage]:
    """A function page body (bytes of a JSON array) -> its records, one per element, in order.

    A record that cannot be used never hides the others: it comes back with its problem. The function
    raises PageUnreadable when the body as a whole is no JSON array.
    """
    reader = _Reader(obj)

    def decode(body: bytes) -> StagedPage:
        usual = reader.usual_page(body)
        return reader.any_page(body) if usual is None else usual

    return decode


def elements(body: bytes) -> list[Any]:
    """The array's elements, undecoded (bytes-like), in order.

    Raises PageUnreadable when the body is no JSON array.
    """
    try:
        raws: list[Any] = _read_elements(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return list(_salvage(body, error))
    return raws


def payload_decoder(obj: ObjectMeta) -> Callable[[Any], dict[str, Any]]:
    """A function element (bytes-like or text) -> dict; numbers with a fraction stay exact (Decimal).

    It raises RecordRejected for a payload that cannot be read, naming the object and never its content.
    """
    read = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

    def decode(payload: Any) -> dict[str, Any]:
        try:
            return read(payload)
        except (*_UNREADABLE, ArithmeticError) as error:
            raise RecordRejected(
                f"a record of {obj.label} cannot be read", pointer="", code="MALFORMED"
            ) from error

    return decode


class _Reader:
    """Reads what every record needs: id, parent, stamp."""

    def __init__(self, obj: ObjectMeta) -> None:
        keys = {"ident": obj.identity_field, "stamp": obj.cursor_field}
        if obj.hierarchy is not None:
            keys["parent"] = obj.hierarchy.parent_key
        # untyped members: a wrong type is the record's problem, not the page's
        head = msgspec.defstruct("Head", [(name, Any, None) for name in keys], rename=keys)
        self._read = msgspec.json.Decoder(head).decode
        text = str | None
        usual = msgspec.defstruct("UsualHead", [(name, text, None) for name in keys], rename=keys)
        self._read_page = msgspec.json.Decoder(list[usual]).decode  # type: ignore[valid-type]
        self._keys = keys
        self._nested = obj.hierarchy is not None
        self._top_level = frozenset(obj.hierarchy.empty_parents if obj.hierarchy else ()) | {
            "",
            None,
        }

    def usual_page(self, body: bytes) -> StagedPage | None:
        """The page at once when every record is as documented; None when one is not."""
        try:
            str(body, "utf-8")
            heads: list[Any] = self._read_page(body)
        except _UNREADABLE:
            return None
        idents, stamps = list(map(_IDENT, heads)), list(map(_STAMP, heads))
        parents: list[str | None] = [None] * len(heads)
        if self._nested:
            top_level = self._top_level
            parents = [None if one in top_level else one for one in map(_PARENT, heads)]
        read = parse_stamps(stamps)
        if not _all_usable(idents) or not _all_usable([one for one in parents if one is not None]):
            return None
        if read.count(None) > stamps.count(None):
            return None
        return StagedPage(range(len(heads)), idents, parents, read)

    def any_page(self, body: bytes) -> StagedPage:
        """The page record by record."""
        found = list(map(self.envelope, elements(body)))
        columns = zip(*found, strict=True) if found else ((), (), (), ())
        return StagedPage(range(len(found)), *columns)

    def envelope(self, raw: Any) -> Envelope:
        try:
            str(raw, "utf-8")
            head: Any = self._read(raw)
        except msgspec.ValidationError:
            return Envelope(None, None, None, "the record is not an object with readable fields")
        except _UNREADABLE:
            return Envelope(
                None, None, None, "the record cannot be read (damaged text or nested too deep)"
            )
        ident, problem = head.ident, None
        if type(ident) is not str or not _usable(ident):
            ident, problem = _identifier(ident, self._keys["ident"])
        parent, stamp = head.parent if self._nested else None, head.stamp
        if parent is not None:
            parent, wrong = self._parent(parent)
            problem = problem or wrong
        if stamp is not None:
            stamp = parse_stamp(stamp) if type(stamp) is str else None
            if stamp is None:
                problem = problem or f"{self._keys['stamp']} is not a date and time"
        return Envelope(ident, parent, stamp, problem)

    def _parent(self, value: Any) -> tuple[str | None, str | None]:
        if type(value) is str:
            if value in self._top_level:
                return None, None
            if _usable(value):
                return value, None
        return _identifier(value, self._keys["parent"])


def _usable(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_LENGTH and "\0" not in text and not text.isspace()


def _all_usable(texts: Sequence[str | None]) -> bool:
    """_usable of every one, none of them None."""
    if not all(texts):
        return False
    there = cast("Sequence[str]", texts)
    return (
        max(map(len, there), default=0) <= MAX_ID_LENGTH
        and "\0" not in "".join(there)
        and not any(map(str.isspace, there))
    )


def _identifier(value: Any, name: str) -> tuple[str | None, str | None]:
    """(id, None) or (None, problem) of a value that is no plain usable text."""
    if type(value) is int and value.bit_length() <= 64:
        return str(value), None
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, f"{name} is missing"
    if not isinstance(value, str):
        return None, f"{name} is neither text nor a whole number"
    if len(value) > MAX_ID_LENGTH:
        return None, f"{name} is longer than {MAX_ID_LENGTH} characters"
    return None, f"{name} holds a character that cannot be stored"


def _salvage(body: bytes, error: Exception) -> list[memoryview]:
    """The array's elements, when it is JSON but one element is beyond the fast decoder.

    Such elements: a lone surrogate escape, NaN, a nesting bomb. Anything else is no JSON: PageUnreadable.
    """
    elements = _split(body)
    if elements is None:
        raise PageUnreadable(
            "A page of the provider's answer is no JSON array of records.",
            hint="If it happens again, report it to the provider with the time of the run.",
        ) from error
    if not all(_is_json(element) for element in elements):
        raise PageUnreadable("A page of the provider's answer is damaged JSON.") from error
    return elements


def _is_json(element: memoryview) -> bool:
    """Also with raw control characters or endless digits: those are that record's problem."""
    try:
        text = bytes(element).decode("utf-8", errors="replace")
        json.loads(text, strict=False, parse_int=len)
    except RecursionError:
        return True  # its brackets close; how deep they go is that record's problem
    except ValueError:
        return False
    return True


def _split(body: bytes) -> list[memoryview] | None:
    """Top-level elements of a JSON array by counting brackets; None when they do not close as one array."""
    view, text = memoryview(body), body.strip()
    if not text.startswith(b"[") or not text.endswith(b"]"):
        return None
    elements, depth, start = [], 0, 0
    for match in _TOKEN.finditer(body):
        mark = match.group()
        if mark in (b"[", b"{"):
            depth += 1
            start = match.end() if depth == 1 else start
        elif mark == b"," and depth == 1:
            elements.append(view[start : match.start()])
            start = match.end()
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                elements.append(view[start : match.start()])
                return elements if not body[match.end() :].strip() else None
    return None
