"""Projects as a sheet: its columns, cells read and written, formulas made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

EDITABLE = ("project_number", "name", "client", "status", "start_date", "end_date", "lead", "notes")
READ_ONLY = ("is_active", "scope", "deleted_at", "bqe_client_name", "bqe_client_id")
COLUMNS = ("id", *EDITABLE, *READ_ONLY)
_LONGEST = {"project_number": 255, "name": 2000, "status": 100, "notes": 1_000_000}
_DAYS = ("start_date", "end_date")
_TRIMMED = ("project_number", "status", *_DAYS)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_STATUS = re.compile(r"[a-z][a-z0-9_]*")
_MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class SheetProblem:
    """What is wrong in a file; `line` counts from 1 (the header), `column` is "" for a whole line."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class ProjectRow:
    """One line to import. `values` holds the editable columns that the file has, None for an empty cell."""

    line: int
    id: int | None
    values: Mapping[str, str | None]


def escaped(text: str) -> str:
    """A cell that no spreadsheet runs as a formula; `unescaped` takes it back exactly."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: str) -> str:
    """The text of a cell that `escaped` wrote, or a person typed."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def columns_of(header: Sequence[str]) -> tuple[list[str], list[SheetProblem]]:
    """The columns of a header line, and what is wrong with it."""
    names = [name.strip().lower().replace(" ", "_") for name in header]
    problems = [
        SheetProblem(
            1, name or f"number {place}", f"is unknown; expected some of {', '.join(COLUMNS)}"
        )
        for place, name in enumerate(names, 1)
        if name not in COLUMNS
    ]
    problems += [
        SheetProblem(1, name, "stands twice")
        for name in sorted({n for n in names if names.count(n) > 1 and n in COLUMNS})
    ]
    if not set(names) & set(EDITABLE):
        problems.append(
            SheetProblem(1, "", f"no column can be imported; use {', '.join(EDITABLE)}")
        )
    return names, problems


def read_row(
    line: int, columns: Sequence[str], cells: Sequence[str]
) -> tuple[ProjectRow | None, list[SheetProblem]]:
    """One line of a file with these columns; None when something is wrong with it."""
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        return None, [SheetProblem(line, "", "has more cells than the header")]
    texts = dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))
    problems: list[SheetProblem] = []
    values: dict[str, str | None] = {}
    for name in columns:
        if name in EDITABLE:
            values[name], wrong = _cell(name, texts[name])
            problems += [SheetProblem(line, name, wrong)] if wrong else []
    ident, wrong = _ident(texts.get("id", ""))
    problems += [SheetProblem(line, "id", wrong)] if wrong else []
    if ident is None and "name" not in columns:
        problems.append(SheetProblem(line, "id", "is empty, and a new project needs a name column"))
    return (None if problems else ProjectRow(line, ident, values)), problems


def _cell(name: str, cell: str) -> tuple[str | None, str]:
    text = unescaped(cell)
    if name in _TRIMMED:
        text = text.strip()
    if not text or (name == "name" and text.isspace()):
        return (None, "is empty") if name in ("name", "status") else (None, "")
    if "\0" in text:
        return None, "holds a character that cannot be stored"
    longest = _LONGEST.get(name, 1000)
    if len(text) > longest:
        return None, f"is longer than {longest} characters"
    if name in _DAYS:
        return _day(text)
    if name == "status" and not _STATUS.fullmatch(text):
        return (
            None,
            "is no status; expected lower-case words joined by _, such as active or inactive",
        )
    return text, ""


def _day(text: str) -> tuple[str | None, str]:
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-01-31") else None
    except ValueError:
        day = None
    return (day.isoformat(), "") if day else (None, "is no date; expected YYYY-MM-DD")


def _ident(text: str) -> tuple[int | None, str]:
    text = text.strip()
    if not text:
        return None, ""
    if text.isascii() and text.isdigit() and 0 < int(text[:20]) <= _MAX_ID:
        return int(text), ""
    return None, "is no project id"
