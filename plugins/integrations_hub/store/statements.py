"""Named SQL: `load("rules").save` is the statement under `-- name: save` in queries/rules.sql."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

_MARK = "-- name: "


@cache
def load(noun: str) -> SimpleNamespace:
    """The statements of queries/<noun>.sql by name; values are always parameters."""
    text = (Path(__file__).parent / "queries" / f"{noun}.sql").read_text(encoding="utf-8")
    statements: dict[str, str] = {}
    for block in text.split(_MARK)[1:]:
        name, _, body = block.partition("\n")
        statements[name.strip()] = body.strip().rstrip(";")
    return SimpleNamespace(**statements)
