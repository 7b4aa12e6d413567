"""Marks of connections and objects outside a run. A run's own mark is moved by finish."""

from __future__ import annotations

from datetime import datetime

from integrations_hub.store.database import Connection, Database
from integrations_hub.store.statements import load

_q = load("state")


class PostgresStateStore:
    """Fulfils ports.StateStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seed_mark(
        self,
        connection_id: int,
        object_key: str,
        generation: int,
        *,
        seeded_by: str,
        mark: datetime | None = None,
    ) -> bool:
        """Set the mark of a rule that begins now (D6); False when this generation already has one.

        `mark`: naive UTC in the provider's clock; None = the database's clock. No answer of the
        provider exists yet when a rule is enabled, so our clock must do: the first run still reads
        from `overlapSeconds` before it, which is what the provider's clock may lag behind ours.
        """
        with self._database.transaction() as tx:
            return seed_mark(
                tx, connection_id, object_key, generation, seeded_by=seeded_by, mark=mark
            )


def seed_mark(
    tx: Connection,
    connection_id: int,
    object_key: str,
    generation: int,
    *,
    seeded_by: str,
    mark: datetime | None = None,
) -> bool:
    """As PostgresStateStore.seed_mark, in the transaction of the switch that begins the rule."""
    values = {
        "connection_id": connection_id,
        "object_key": object_key,
        "generation": generation,
        "seeded_by": seeded_by,
        "mark": mark,
    }
    return tx.execute(_q.seed_mark, values).fetchone() is not None
