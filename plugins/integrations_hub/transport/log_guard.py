"""What lets no secret into a log, at any level: one guard a process, for our records and our libraries'."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from integrations_hub.domain.redaction import MASK, redact_sensitive, redact_text

_SHORTEST_SECRET = 8  # shorter values are ordinary words: masking them would garble the log
_REMEMBERED = 100
_GUARDED = (
    "integrations_hub", "bridge_api", "providers", "urllib3", "requests", "httpx", "httpcore", "psycopg", "uvicorn", "starlette",
    "fastapi", "alembic", "sqlalchemy", "asyncio",
)  # fmt: skip
_ACCESS_LOG = "uvicorn.access"  # its formatter takes the arguments apart: they stay arguments


class LogGuard(logging.Filter):
    """Redacts message, arguments and traceback of every record that passes; drops none.

    `hide` adds a value (a token in use) that is masked wherever it occurs, also encoded; `also` a listener that is
    told every hidden form (Airflow's own masker).
    """

    def __init__(self) -> None:
        super().__init__()
        self._hidden: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.Lock()

    def hide(self, secret: str) -> None:
        """Mask this value from now on, in any encoding; the newest hundred are remembered."""
        if len(secret) < _SHORTEST_SECRET:
            return
        with self._lock:
            if secret in self._hidden:
                return
            self._hidden = (*self._hidden[-(_REMEMBERED - 1) :], secret)
            forms = {form for hidden in self._hidden for form in forms_of(hidden)}
            longest_first = sorted(forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
        for listener in self._listeners:
            for form in forms_of(secret):
                listener(form)

    def also(self, listener: Callable[[str], None]) -> None:
        """Tell `listener` every form of every secret that is hidden from now on; once per listener."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place."""
        if record.name == _ACCESS_LOG and isinstance(record.args, tuple):
            record.args = tuple(self._argument(argument) for argument in record.args)
        else:
            record.msg = self.redact(_message(record))
            record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_text = self.redact(trace)
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        return True

    def redact(self, text: str) -> str:
        """`text` without hidden values and without what redact_text knows."""
        pattern = self._pattern
        return redact_text(pattern.sub(MASK, text) if pattern else text)

    def _argument(self, argument: Any) -> Any:
        return self.redact(argument) if isinstance(argument, str) else redact_sensitive(argument)


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
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # a broken format string must not let its arguments through by the handler's error path
        return f"{record.msg} (arguments left out: they do not fit the message)"


GUARD = LogGuard()


def install() -> None:
    """From now on every record of ours and of our libraries in this process passes the guard. Repeatable."""
    made = logging.getLogRecordFactory()
    if not isinstance(made, _GuardedRecords):
        logging.setLogRecordFactory(_GuardedRecords(made))


class _GuardedRecords:
    """A record factory: nothing that a record is handed to later sees it unguarded."""

    def __init__(self, made: Callable[..., logging.LogRecord]) -> None:
        self._made = made

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._made(*args, **kwargs)
        if record.name.startswith(_GUARDED):
            GUARD.filter(record)
        return record
