"""Database sessions for requests: one each, a few kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integrations_hub.errors import DatabaseUnavailable, DatabaseUnusable, HubError
from integrations_hub.store.database import Database

_IDLE = 4


class DatabasePool:
    """Sessions for one request each. Used on the event loop only; opening happens on the route's thread."""

    def __init__(self, open_one: Callable[[], Database]) -> None:
        self._open = open_one
        self._idle: list[Database] = []

    @contextmanager
    def borrow(self) -> Iterator[Database]:
        """A Database of the caller's own until the end; after a lost connection none is kept."""
        database = self._idle.pop() if self._idle else self._open()
        try:
            yield database
        except (DatabaseUnavailable, DatabaseUnusable):
            self.close()
            database.close()
            raise
        except HubError:
            self._give_back(database)
            raise
        except BaseException:
            database.close()
            raise
        else:
            self._give_back(database)

    def _give_back(self, database: Database) -> None:
        if len(self._idle) < _IDLE:
            self._idle.append(database)
        else:
            database.close()

    def close(self) -> None:
        """End the idle sessions."""
        while self._idle:
            self._idle.pop().close()
