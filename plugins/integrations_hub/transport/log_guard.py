"""What lets no secret into a log, at any level: one guard a process, for our records and our libraries'."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any
from urllib.parse import quote, quote_plus

from integrations_hub.domain.redaction import MASK, redact_text

_SHORTEST_SECRET = 8  # shorter values are ordinary words: masking them would garble the log
_REMEMBERED = 300
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPED = {number: repr(chr(number))[1:-1] for number in _CONTROLS}
_ESCAPED_IN_TRACES = {
    number: text for number, text in _ESCAPED.items() if chr(number) not in "\n\t"
}
_GUARDED = (
    "integrations_hub", "bridge_api", "providers", "urllib3", "requests", "httpx", "httpcore", "psycopg", "uvicorn", "starlette",
    "fastapi", "alembic", "sqlalchemy", "asyncio",
)  # fmt: skip
_ACCESS_LOG = "uvicorn.access"  # its formatter takes the arguments apart: they stay arguments


class LogGuard(logging.Filter):
    """Redacts message, arguments and traceback of every record that passes; drops none.

    What comes from outside as an argument stays on its line: control characters are escaped. `hide` adds a
    value (a token in use) that is masked wherever it occurs, also encoded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hidden: dict[str, set[str]] = {}
        self._forms: tuple[str, ...] = ()  # lower case, the longest first
        self._lock = threading.Lock()

    def hide(self, secret: str) -> None:
        """Mask this value from now on, in any encoding; the newest ones are remembered."""
        if len(secret) < _SHORTEST_SECRET or secret in self._hidden:
            return
        forms = forms_of(secret)
        with self._lock:
            kept = [*self._hidden.items(), (secret, forms)][-_REMEMBERED:]
            self._hidden = dict(kept)
            every = {form.lower() for _, some in kept for form in some}
            self._forms = tuple(sorted(every, key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place."""
        if record.name == _ACCESS_LOG and isinstance(record.args, tuple):
            record.args = tuple(self._argument(argument) for argument in record.args)
        else:
            record.msg = self.redact(_message(record))
            record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_text = self.redact(trace).translate(_ESCAPED_IN_TRACES)
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        return True

    def redact(self, text: str) -> str:
        """`text` without hidden values and without what redact_text knows."""
        lowered = text.lower()
        for form in self._forms:
            if form in lowered:
                text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
                lowered = text.lower()
        return redact_text(text)

    def _argument(self, argument: Any) -> Any:
        return self.redact(argument) if isinstance(argument, str) else argument


class _OneLine:
    """An argument whose text cannot begin a line or steer a terminal."""

    def __init__(self, argument: object) -> None:
        self._argument = argument

    def __str__(self) -> str:
        return str(self._argument).translate(_ESCAPED)

    def __repr__(self) -> str:
        return repr(self._argument).translate(_ESCAPED)


def forms_of(secret: str) -> set[str]:
    """The value as it may stand in a text: plain, in URLs, JSON and HTML, hexadecimal, base64 inside anything."""
    raw = secret.encode()
    forms = {
        secret, quote(secret, safe=""), quote_plus(secret), quote(quote(secret, safe=""), safe=""), json.dumps(secret)[1:-1],
        html.escape(secret), raw.hex(),
    }  # fmt: skip
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # only the characters that the bytes around the secret cannot change
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            inner = text[-(-before * 4 // 3) : len(text) - (1 if (before + len(raw)) % 3 else 0)]
            forms.add(inner)
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}


def _message(record: logging.LogRecord) -> str:
    """The formatted message; a message that does not fit its arguments is kept without them."""
    message, args = str(record.msg), record.args
    if not args:
        return message.translate(_ESCAPED_IN_TRACES)
    try:
        if isinstance(args, Mapping):
            return message % {name: _one_line(value) for name, value in args.items()}
        return message % tuple(_one_line(value) for value in args)
    except (TypeError, ValueError, KeyError):
        return message


def _one_line(argument: Any) -> Any:
    return argument if isinstance(argument, Number) else _OneLine(argument)


GUARD = LogGuard()


def install() -> None:
    """From now on every record of ours and of our libraries in this process passes the guard. Repeatable."""
    made = logging.getLogRecordFactory()
    if not isinstance(made, _GuardedRecords):
        logging.setLogRecordFactory(_GuardedRecords(made))


class _GuardedRecords:
    """A record factory: nothing that a record is handed to later sees it unguarded.

    makeLogRecord asks for one without a name and fills it from a record that passed already.
    """

    def __init__(self, made: Callable[..., logging.LogRecord]) -> None:
        self._made = made

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._made(*args, **kwargs)
        if (record.name or "").startswith(_GUARDED):
            GUARD.filter(record)
        return record
