"""A page of the provider's answer as columns: only the fields that a mapping reads, decoded all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from integrations_hub.catalog.metadata import ObjectMeta

_TEXT = ("id", "text", "html", "day", "datetime")
Columns = dict[str, list[Any]]


def column_reader(
    obj: ObjectMeta, sources: Sequence[str]
) -> Callable[[bytes, Sequence[int]], Columns | None]:
    """A function (page body, indexes of the records wanted) -> values by source, in that order.

    None when the page holds a record that is not as the metadata says: then it must be read record by
    record. Texts are text or None; other types come as JSON has them, fractions as Decimal.
    """
    names = {f"f{number}": source for number, source in enumerate(sources)}
    fields = [
        (name, str | None if obj.fields[source].type in _TEXT else Any, None)
        for name, source in names.items()
    ]
    row = msgspec.defstruct("Row", fields, rename=names, gc=False)
    read = msgspec.json.Decoder(list[row], float_hook=Decimal).decode  # type: ignore[valid-type]
    getters = [(source, attrgetter(name)) for name, source in names.items()]

    def columns(body: bytes, wanted: Sequence[int]) -> Columns | None:
        try:
            str(body, "utf-8")
            rows: list[Any] = read(body)
        except (msgspec.DecodeError, RecursionError, UnicodeError, ArithmeticError):
            return None
        if len(wanted) < len(rows):
            rows = [rows[index] for index in wanted]
        return {source: list(map(get, rows)) for source, get in getters}

    return columns
