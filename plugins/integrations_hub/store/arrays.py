"""Arrays as PostgreSQL reads them."""

from __future__ import annotations

from collections.abc import Iterable


def array(values: Iterable[str | None]) -> str:
    """The literal of a one-dimensional array, for a cast; psycopg would adapt each of a page's thousands by itself."""
    return "{" + ",".join(["NULL" if one is None else _quoted(one) for one in values]) + "}"


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
