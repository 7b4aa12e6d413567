"""Signs of life, and what a parse could not build."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.ports.records import Heartbeat
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("heartbeats")


class PostgresHeartbeatStore:
    """Fulfils ports.HeartbeatStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, name: str, detail: dict[str, Any]) -> None:
        """The row's `at` is now."""
        self._database.execute(_q.beat, {"name": name, "detail": Jsonb(detail)})

    def read_all(self) -> list[Heartbeat]:
        """By name."""
        return [Heartbeat(**row) for row in self._database.rows(_q.read_all)]
