"""No route while the key ring lacks a key that stored secrets need: serving half of them would hide it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bridge_api.database_pool import DatabasePool
from integrations_hub import admin_wiring
from integrations_hub.errors import DatabaseUnavailable, DatabaseUnusable
from integrations_hub.store.database import Database


class KeyGate:
    """Asks the database until it once said that all is well; keys change with a restart only."""

    def __init__(self, pool: DatabasePool, environ: Mapping[str, str]) -> None:
        self._pool = pool
        self._environ = environ
        self._is_open = False

    async def refuse(self) -> None:
        """Raise SecretKeyDropped; a database that does not answer is told by the routes themselves."""
        if self._is_open:
            return
        try:
            with self._pool.borrow() as database:
                await asyncio.to_thread(self._check, database)
        except (DatabaseUnavailable, DatabaseUnusable):
            return
        self._is_open = True

    def _check(self, database: Database) -> None:
        admin_wiring.secrets(database, self._environ).refuse_dropped_keys()
