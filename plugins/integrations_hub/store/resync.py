"""Resync requests: what somebody asked to be read again, and what of it is still unread (rule 8 of a run)."""

from __future__ import annotations

from datetime import datetime

from integrations_hub.domain.resync import OpenResync
from integrations_hub.domain.rule import Rule
from integrations_hub.store.audit import record
from integrations_hub.store.database import Connection, Database
from integrations_hub.store.statements import load

_q = load("resync")


class PostgresResyncStore:
    """Fulfils ports.ResyncStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self,
        *,
        connection_id: int,
        object_key: str,
        since: datetime | None,
        actor: str,
        request_id: str | None,
    ) -> int:
        """Ask for everything changed from `since` (naive UTC, inclusive; None = everything) until now.

        Returns the request's id. It stands until a sweep that began after it has read everything; the
        run that closes the last one clears `resync_required` as well.
        """
        with self._database.transaction() as tx:
            return _insert(tx, connection_id, object_key, since, actor=actor, request_id=request_id)

    def oldest_open(self, connection_id: int, object_key: str) -> OpenResync | None:
        """What is still to be done for a connection and object; None when nothing is."""
        row = self._database.row(
            _q.oldest_open, {"connection_id": connection_id, "object_key": object_key}
        )
        return OpenResync(**row) if row else None


def open_resync(
    tx: Connection, rule: Rule, since: datetime | None, *, actor: str, request_id: str | None
) -> int:
    """As PostgresResyncStore.request, in the transaction of its first run; `since` aware UTC."""
    stamp = since.replace(tzinfo=None) if since else None
    return _insert(
        tx, rule.connection_id, rule.object_key, stamp, actor=actor, request_id=request_id
    )


def _insert(
    tx: Connection,
    connection_id: int,
    object_key: str,
    since: datetime | None,
    *,
    actor: str,
    request_id: str | None,
) -> int:
    names = {"connection_id": connection_id, "object_key": object_key}
    row = tx.execute(_q.request, {**names, "since": since, "actor": actor}).fetchone()
    made = int(row["id"]) if row else 0
    record(
        tx,
        actor=actor,
        action="resync.requested",
        target=f"resync:{made}",
        detail={**names, "since": since.isoformat() if since else None},
        request_id=request_id,
    )
    return made
