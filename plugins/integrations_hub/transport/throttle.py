"""Waiting for the shared request budget of a connection and its provider."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from integrations_hub.errors import RateLimited
from integrations_hub.ports.outside import BudgetRows, Clock
from integrations_hub.transport.pulse import Pulse

MAX_WAIT_S = 60.0  # a longer wait frees the worker slot instead
_POLL_S = 0.1  # only while every place in flight is taken


class Throttle:
    """Fulfils ports.Budget over the rows that all processes share.

    The limits are read with each acquire, so a change counts at once. Threads may share a Throttle:
    its lock covers statements only, never a sleep.
    """

    def __init__(
        self,
        store: BudgetRows,
        *,
        provider_key: str,
        connection_id: int,
        clock: Clock,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._max_wait_s = max_wait_s
        self._store = store
        self._provider_key = provider_key
        self._connection_id = connection_id
        self._clock = clock
        self._lock = threading.Lock()

    def acquire(self, heartbeat: Callable[[], None]) -> str:
        """A place in flight whose time has come. Raises RateLimited for longer waits than allowed."""
        token = str(uuid.uuid4())
        pulse = Pulse(self._clock, heartbeat)
        give_up = self._clock.monotonic() + self._max_wait_s
        while True:
            with self._lock:
                slot = self._store.acquire(
                    token, self._provider_key, self._connection_id, max_wait_s=self._max_wait_s
                )
            if slot.granted:
                self._sleep_until_due(token, slot.wait_s, pulse)
                return token
            if slot.wait_s > self._max_wait_s:
                raise _limited(slot.wait_s)
            if self._clock.monotonic() >= give_up:
                raise _limited(_POLL_S)
            pulse.sleep(_POLL_S)

    def release(self, token: str) -> None:
        """Give the place in flight back; unknown tokens are no error."""
        with self._lock:
            self._store.release(token)

    def pause(self, seconds: float) -> None:
        """Nobody sends on this connection for `seconds`."""
        with self._lock:
            self._store.pause(self._connection_id, seconds)

    def close(self) -> None:
        """Close the budget's own database session."""
        with self._lock:
            self._store.close()

    def _sleep_until_due(self, token: str, wait_s: float, pulse: Pulse) -> None:
        """A pause that was ordered while we slept counts too."""
        waited = 0.0
        due = False
        try:
            while wait_s > 0 and waited + wait_s <= self._max_wait_s:
                waited += wait_s
                pulse.sleep(wait_s)
                with self._lock:
                    wait_s = self._store.paused_for(self._provider_key, self._connection_id)
            due = wait_s <= 0
        finally:
            if not due:
                self.release(token)
        if not due:
            raise _limited(wait_s)


class Unmetered:
    """Fulfils ports.Budget without rows: for the one request of a test while nothing else is sent."""

    def acquire(self, heartbeat: Callable[[], None]) -> str:  # noqa: ARG002 - the port's signature
        """At once."""
        return ""

    def release(self, token: str) -> None:
        """Nothing was taken."""

    def pause(self, seconds: float) -> None:
        """Nobody else is asking."""


def _limited(wait_s: float) -> RateLimited:
    return RateLimited(
        "The request budget of the connection is used up.",
        retry_after_s=max(wait_s, 1.0),
        hint="Nothing to do: it goes on by itself. To speed it up, raise the provider's limits.",
    )
