"""The append-only record of who did what. Entries stand in the transaction of what they tell of."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.store.database import Connection, Database
from integrations_hub.store.statements import load

_q = load("audit")


class PostgresAuditStore:
    """Fulfils ports.AuditStore, for entries without another write (a refused sign-in)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, Any],
        request_id: str | None,
    ) -> None:
        """One entry in a transaction of its own."""
        with self._database.transaction() as tx:
            record(
                tx, actor=actor, action=action, target=target, detail=detail, request_id=request_id
            )


def record(
    tx: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    detail: dict[str, Any],
    request_id: str | None,
) -> None:
    """One entry inside the caller's transaction: both are kept, or neither."""
    tx.execute(
        _q.add,
        {
            "actor": actor,
            "action": action,
            "target": target,
            "detail": Jsonb(detail),
            "request_id": request_id,
        },
    )
