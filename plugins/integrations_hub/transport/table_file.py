"""Tables as files of people: CSV and XLSX, written plainly and read inside limits."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from integrations_hub.domain.project_sheet import escaped
from integrations_hub.errors import FileRefused
from integrations_hub.transport.table_reader import MAX_FILE

_SUFFIXES = (".csv", ".xlsx")
_READ_S = 60


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write header and rows by the path's ending; returns the number of rows.

    Text that a spreadsheet would run as a formula gets a leading apostrophe; dates are YYYY-MM-DD, instants ISO in UTC.
    """
    _require_suffix(path)
    count = 0
    if path.suffix.lower() == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in rows:
                writer.writerow([_cell(value) for value in row])
                count += 1
        return count
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Projects")
    sheet.append(list(header))
    for row in rows:
        try:
            sheet.append([_cell(value) for value in row])
        except openpyxl.utils.exceptions.IllegalCharacterError as error:
            raise FileRefused(
                f"Row {count + 2} (project {row[0]}) holds a control character that XLSX cannot keep.",
                hint="Export to a .csv file instead.",
            ) from error
        count += 1
    book.save(path)
    return count


def read_table(path: Path) -> list[list[str]]:
    """Every line as texts, the header first. Raises FileRefused with a sentence."""
    _require_suffix(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FileRefused(f"{path.name} cannot be read: {error.strerror}.") from error
    if size > MAX_FILE:
        raise FileRefused(f"{path.name} is larger than {MAX_FILE // 2**20} MB.")
    command = [sys.executable, "-m", "integrations_hub.transport.table_reader", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_READ_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise FileRefused(f"{path.name} takes too long to read.") from error
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    last = lines.pop() if lines else None
    if isinstance(last, dict) and "end" in last:
        return lines
    reason = last["refused"] if isinstance(last, dict) else "is more than we read of a file"
    raise FileRefused(f"{path.name} {reason}.")


def _require_suffix(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise FileRefused(f"{path.name} ends in neither {' nor '.join(_SUFFIXES)}.")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return escaped(value) if isinstance(value, str) else value
