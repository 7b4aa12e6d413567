"""Records that wait because they could not be loaded."""

from __future__ import annotations

from integrations_hub.ports.quarantine import Quarantined
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("quarantine")


class PostgresQuarantineStore:
    """Fulfils ports.QuarantineStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        *,
        connection_id: int,
        object_key: str,
        resolved: bool,
        before_id: int | None,
        limit: int,
    ) -> list[Quarantined]:
        """Newest first; the waiting ones, or those that have left."""
        where = {
            "connection_id": connection_id,
            "object_key": object_key,
            "resolved": resolved,
            "before_id": before_id,
            "limit": limit,
        }
        return [Quarantined(**row) for row in self._database.rows(_q.list, where)]
