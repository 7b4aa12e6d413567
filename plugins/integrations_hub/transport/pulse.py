"""Waiting without losing the lease: long sleeps are cut into slices with a heartbeat between."""

from __future__ import annotations

from collections.abc import Callable

from integrations_hub.ports.outside import Clock

_SLICE_S = 5.0
_BEAT_EVERY_S = 15.0  # the promise is 20 s; a slice of 5 s may come on top


class Pulse:
    """Sleeps on one thread's behalf and calls `heartbeat` at least every 20 s of sleep."""

    def __init__(self, clock: Clock, heartbeat: Callable[[], None]) -> None:
        self._clock = clock
        self._heartbeat = heartbeat
        self._last = clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep `seconds` in all; an error of the heartbeat (RunLost) ends the sleep."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, _SLICE_S))
            self.beat()

    def beat(self) -> None:
        """Heartbeat when the last one is long ago."""
        now = self._clock.monotonic()
        if now - self._last >= _BEAT_EVERY_S:
            self._last = now
            self._heartbeat()
