"""Ctrl-C and SIGTERM as a flag that the waiting places look at, so that no process is started and then forgotten."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):  # noqa: N818 - a wish, not an error
    """Somebody asked us to stop; `exit_code` is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}; the state is kept.")
        self.exit_code = 128 + number


class Shutdown:
    """While entered, SIGINT, SIGTERM and SIGHUP only set the flag."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._number = int(signal.SIGTERM)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Shutdown:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise StopRequested when a signal came."""
        if self._event.is_set():
            raise StopRequested(self._number)

    def sleep(self, seconds: float) -> None:
        """Wait, and raise StopRequested as soon as a signal comes."""
        self._event.wait(seconds)
        self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self._event.is_set():
            self._number = number
            self._event.set()
