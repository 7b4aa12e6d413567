"""One value of the provider to the text of a local column, or a reject that names field and cause.

What a value says is never quoted: reasons are kept, logged and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from html.parser import HTMLParser
from typing import Any

from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import LocalColumn
from integrations_hub.errors import RecordRejected

NUMBERS = ("integer", "decimal", "boolean")
ZERO_GUID = "00000000-0000-0000-0000-000000000000"
LONGEST_CODE = 100
_WIDEST_NUMBER = 40  # digits before or after the point; more is no amount of anything
Convert = Callable[[Any], "str | None"]

_CASES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": lambda text: " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" ")),
}


def converter(line: FieldMap, column: LocalColumn) -> Convert:
    """A function value -> text of the column, None for nothing; `required` is the caller's.

    It takes what was read (a sequence for a line with `also`) and raises RecordRejected.
    """
    steps = [_text_step(line), *_asked_steps(line)]
    if column.name == "project_number":
        steps.append(str.strip)
    fit = _fit(line, column)

    def convert(value: Any) -> str | None:
        text: str | None = value
        for step in steps:
            if text is None:
                break
            text = step(text)
        if not text and line.default is not None:
            text = line.default
        return None if text is None else fit(text)

    return convert


def code_of(value: Any, line: FieldMap) -> str:
    """A code may come as number, text, or {"value": ...}: all three were seen."""
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) and line.source_type == "boolean":
        return "true" if value else "false"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise rejected(line, f"should be a code but is {_json_type(value)}", "WRONG_TYPE")
    text = value.strip() if isinstance(value, str) and line.trim else str(value)
    if len(text) > LONGEST_CODE or not storable(text):
        raise rejected(line, "is not a usable code", "WRONG_TYPE")
    return text


def storable(text: str) -> bool:
    """PostgreSQL takes no NUL and no half of a surrogate pair."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def rejected(line: FieldMap, what: str, code: str) -> RecordRejected:
    """The reject of a line: its field, never its value."""
    if line.constant is not None:
        return RecordRejected(f"The constant for {line.target} {what}", pointer="", code=code)
    return RecordRejected(f"{line.source} {what}", pointer=f"/{line.source}", code=code)


def strip_html(text: str) -> str:
    """The text between the tags, entities resolved."""
    if "<" not in text and "&" not in text:
        return text.strip()
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts).strip()


# --- steps ---


def _text_step(line: FieldMap) -> Convert:
    if line.constant is not None:
        return str
    kinds = (line.source_type, *(kind for _, kind in line.also))
    if len(kinds) == 1:
        return lambda value: _text(value, kinds[0], line)

    def joined(values: Sequence[Any]) -> str | None:
        parts = (
            None if value is None else _text(value, kind, line)
            for value, kind in zip(values, kinds, strict=True)
        )
        return line.separator.join(part for part in parts if part) or None

    return joined


def _text(value: Any, kind: str, line: FieldMap) -> str | None:
    if not isinstance(value, str):
        if kind in NUMBERS and isinstance(value, (int, float, Decimal)):
            return _number_text(value, line)
        raise rejected(line, f"should be text but is {_json_type(value)}", "WRONG_TYPE")
    if kind == "id" and value == ZERO_GUID:
        return None
    return strip_html(value) if kind == "html" else value


def _number_text(value: float | Decimal, line: FieldMap) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except ValueError:  # Python's limit of digits
        raise rejected(line, "is a number too long to store", "TOO_LONG") from None


def _asked_steps(line: FieldMap) -> list[Convert]:
    steps: list[Convert] = []
    if line.date_in is not None:
        steps.append(lambda text: _read_day(text, line))
    if line.date_out is not None:
        steps.append(lambda text: _write_day(text, line))
    if line.decimals is not None:
        steps.append(lambda text: _rounded(text, line))
    if line.trim:
        steps.append(str.strip)
    if line.case is not None:
        steps.append(_CASES[line.case])
    return steps


def _read_day(text: str, line: FieldMap) -> str | None:
    if not text.strip():
        return None
    try:
        return datetime.strptime(text.strip(), line.date_in or "").date().isoformat()  # noqa: DTZ007 - a calendar day
    except ValueError:
        raise rejected(line, f"is not a day written as {line.date_in}", "BAD_DAY") from None


def _write_day(text: str, line: FieldMap) -> str | None:
    if not text:
        return None
    day = date.fromisoformat(_day(text, line))
    return day.strftime((line.date_out or "").replace("%Y", f"{day.year:04d}"))


def _rounded(text: str, line: FieldMap) -> str | None:
    """Plain digits, banker's rounding; "" is no number and no reject."""
    if not text.strip():
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise rejected(line, "is not a number", "BAD_NUMBER") from None
    if not number.is_finite() or abs(number.adjusted()) > _WIDEST_NUMBER:
        raise rejected(line, "is not a number that can be stored", "BAD_NUMBER")
    return f"{number:.{line.decimals}f}"


def _fit(line: FieldMap, column: LocalColumn) -> Convert:
    """The column's own demands on the finished text."""
    if column.kind == "day":
        return lambda text: _day(text, line) if text else None
    limit = column.max_length

    def fit(text: str) -> str:
        if not storable(text):
            raise rejected(line, "holds a character that cannot be stored", "BAD_CHARACTER")
        if len(text) > limit:
            raise rejected(line, f"is longer than {limit} characters", "TOO_LONG")
        return text

    return fit


def _day(text: str, line: FieldMap) -> str:
    """Calendar days are never moved between zones: the first ten characters are the day."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise rejected(line, "is not a day of the calendar", "BAD_DAY") from None


def _json_type(value: Any) -> str:
    names = {
        bool: "true/false",
        int: "a number",
        float: "a number",
        Decimal: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "of another type")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
