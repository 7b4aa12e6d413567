"""Arrays as PostgreSQL reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast


def array(values: Sequence[str | None]) -> str:
    """The literal of a one-dimensional array, for a cast; psycopg would adapt each of a page's thousands by itself."""
    if values and None not in values:
        text = '","'.join(cast("Sequence[str]", values))
        if "\\" not in text and text.count('"') == 2 * (len(values) - 1):
            return f'{{"{text}"}}'
    return "{" + ",".join(["NULL" if one is None else _quoted(one) for one in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
