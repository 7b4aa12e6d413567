"""The stored plan of changes of a run, read outside of it."""

from __future__ import annotations

from typing import Any

from integrations_hub.ports.runs import Change
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("changes")


class PostgresChangeStore:
    """Fulfils ports.ChangeStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, run_id: int, *, after: int, limit: int, action: str | None) -> list[Change]:
        """By seq, beginning after one; `action` None takes all."""
        values = {"run_id": run_id, "after": after, "limit": limit, "action": action}
        return [Change(**row) for row in self._database.rows(_q.page, values)]

    def rejects(self, run_id: int) -> list[dict[str, Any]]:
        """What the run put into quarantine: external_id, code, reason, pointer; never a value."""
        return self._database.rows(_q.rejects, {"run_id": run_id})
