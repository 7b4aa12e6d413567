"""Reads one CSV or XLSX file inside limits and prints its lines as JSON: a process of its own.

    python -m integrations_hub.transport.table_reader FILE

A file from outside may be a bomb: memory, processor time, inflated size, rows and columns are bounded here,
and whatever still goes wrong ends this process only. The last line printed is {"end": rows}, or {"refused": sentence}.
"""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

MAX_FILE = 5 * 2**20
_MAX_INFLATED = 50 * 2**20
_MAX_RATIO = 100
_MAX_ENTRIES = 200
_MAX_ROWS = 100_000
_MAX_COLUMNS = 200
_MEMORY = 512 * 2**20
_CPU_S = 20


class Refused(Exception):  # noqa: N818 - the child's own word, never leaves it
    """The file is not one that we read."""


def main(path: Path) -> int:
    """Print every line; returns 0, or 1 with the reason printed."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    count = 0
    try:
        for row in _bounded(_rows(path)):
            count += 1
            _say(row)
    except Refused as refused:
        _say({"refused": str(refused)})
        return 1
    except (MemoryError, RecursionError):
        _say({"refused": "needs more memory than a list of projects may"})
        return 1
    _say({"end": count})
    return 0


def _bounded(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        if number > _MAX_ROWS:
            raise Refused(f"has more than {_MAX_ROWS:,} rows")
        if len(row) > _MAX_COLUMNS:
            raise Refused(f"has more than {_MAX_COLUMNS} columns")
        yield row


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def _rows(path: Path) -> Iterator[list[str]]:
    content = path.read_bytes()
    if path.suffix.lower() == ".xlsx":
        yield from _sheet_rows(content)
    else:
        yield from _text_rows(content)


def _text_rows(content: bytes) -> Iterator[list[str]]:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused("is no UTF-8 text; save it as CSV UTF-8") from error
    if "\0" in text:
        raise Refused("is no text file")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(2 * 2**20)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise Refused(f"is no sound CSV ({error})") from error


def _sheet_rows(content: bytes) -> Iterator[list[str]]:
    _check_archive(content)
    import openpyxl

    try:
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, keep_links=False, keep_vba=False
        )
        sheet: Any = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its size is not believed, nor are rows padded to it
        for number, row in enumerate(sheet.rows, 1):
            yield _trimmed([_text(cell, number) for cell in row])
    except (Refused, MemoryError, RecursionError):
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise Refused("is no sound XLSX file") from error


def _check_archive(content: bytes) -> None:
    try:
        entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except zipfile.BadZipFile as error:
        raise Refused("is no XLSX file, whatever its name says") from error
    inflated = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_ENTRIES or inflated > _MAX_INFLATED:
        raise Refused("is larger inside than a list of projects may be")
    for entry in entries:
        if entry.file_size > _MAX_RATIO * max(entry.compress_size, 1024):
            raise Refused("is packed more tightly than a list of projects can be")
        if "vbaproject" in entry.filename.lower() or "externallink" in entry.filename.lower():
            raise Refused("holds macros or links to other files; save it as plain XLSX")


def _text(cell: Any, row: int) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise Refused(f"holds a formula in row {row}; paste values only")
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time().isoformat() == "00:00:00" else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _trimmed(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row.pop()
    return row


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
