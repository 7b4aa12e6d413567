"""Local projects, read-only: only a run's fenced transaction writes what the provider owns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("projects")


class PostgresProjectStore:
    """Fulfils ports.LocalProjectStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, *, after_id: int, limit: int, status: str | None) -> Iterator[dict[str, Any]]:
        """By id; status None leaves out inactive and deleted projects, "all" leaves out nothing."""
        values = {"after_id": after_id, "limit": limit, "status": status}
        yield from self._database.rows(_q.list_page, values)

    def backfill_bqe_client(self) -> int:
        """Invent bqe_client_name for projects without one and without a link; returns how many."""
        return self._database.execute(_q.backfill_bqe_client)

    def unlinked_count(self, provider_key: str) -> int:
        """Projects that were never matched with a record of the provider."""
        row = self._database.row(_q.unlinked_count, {"provider_key": provider_key})
        return int(row["n"]) if row else 0
