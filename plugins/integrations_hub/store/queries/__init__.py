"""Named SQL: `load("rules").save` is the statement under `-- name: save` in rules.sql."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace

_MARK = "-- name: "


@cache
def load(noun: str) -> SimpleNamespace:
    """The statements of queries/<noun>.sql by name; values are always parameters."""
    text = Path(__file__).with_name(f"{noun}.sql").read_text(encoding="utf-8")
    statements: dict[str, str] = {}
    for block in text.split(_MARK)[1:]:
        name, _, body = block.partition("\n")
        statements[name.strip()] = body.strip().rstrip(";")
    return SimpleNamespace(**statements)
