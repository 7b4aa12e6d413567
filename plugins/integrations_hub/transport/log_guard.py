"""A logging filter that lets no secret through, at any level."""

from __future__ import annotations

import logging
import threading
import traceback

from integrations_hub.domain.redaction import MASK, redact_text

_SHORTEST_SECRET = 8  # shorter values are ordinary words: masking them would garble the log


class LogGuard(logging.Filter):
    """Redacts message, arguments and traceback of every record that passes; drops none.

    `hide` adds a value (a token in use) that is masked wherever it occurs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hidden: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def hide(self, secret: str) -> None:
        """Mask this value from now on; the newest hundred are remembered."""
        with self._lock:
            if len(secret) >= _SHORTEST_SECRET and secret not in self._hidden:
                self._hidden = (*self._hidden[-99:], secret)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place."""
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
        for secret in self._hidden:
            text = text.replace(secret, MASK)
        return redact_text(text)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # a broken format string must not let its arguments through by the handler's error path
        return f"{record.msg} (arguments left out: they do not fit the message)"


GUARD = LogGuard()
_LIBRARIES = ("urllib3.connectionpool", "urllib3.util.retry", "requests")


def guarded(name: str) -> logging.Logger:
    """The logger `name` with the guard; the HTTP libraries' loggers get it too."""
    for each in (name, *_LIBRARIES):
        logging.getLogger(each).addFilter(GUARD)
    return logging.getLogger(name)
