"""Hub connections without their secrets (those are in tokens.py)."""

from __future__ import annotations

from dataclasses import asdict, fields

import psycopg
from psycopg.types.json import Jsonb

from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.listing import FilterProbe
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.ports.connections import NO_VALUES, ConnectionValues
from integrations_hub.store.audit import record
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load

_q = load("connections")
_COLUMNS = tuple(field.name for field in fields(Connection))


class PostgresConnectionStore:
    """Fulfils ports.ConnectionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        provider_key: str,
        key: str,
        label: str,
        environment: str,
        actor: str,
        request_id: str | None,
        values: ConnectionValues = NO_VALUES,
    ) -> Connection:
        """A connection that nobody authorised yet.

        Raises ConflictingChange when the key is taken, or was: a key is never given twice.
        """
        row_values = {
            "provider_key": provider_key,
            "key": key,
            "label": label,
            "environment": environment,
            "limits": Jsonb(values.limits or {}),
            "headers": Jsonb(values.headers or {}),
            "secret_ref": values.secret_ref,
        }
        try:
            with self._database.transaction() as tx:
                row = tx.execute(_q.create, row_values).fetchone()
                record(
                    tx,
                    actor=actor,
                    action="connection.created",
                    target=connection_target(provider_key, key),
                    detail={"label": label, "environment": environment} | values.told(),
                    request_id=request_id,
                )
        except psycopg.errors.UniqueViolation as error:
            raise self._taken(provider_key, key) from error
        return _connection(row, key)

    def change(
        self,
        connection: Connection,
        values: ConnectionValues,
        *,
        actor: str,
        request_id: str | None,
    ) -> Connection:
        """Label, limits, headers, secret_ref: only what is given changes. Raises NotFound."""
        with self._database.transaction() as tx:
            row = tx.execute(
                _q.change,
                {
                    "connection_id": connection.id,
                    "label": values.label,
                    "limits": None if values.limits is None else Jsonb(values.limits),
                    "headers": None if values.headers is None else Jsonb(values.headers),
                    "set_secret_ref": values.secret_ref is not None,
                    "secret_ref": values.secret_ref or None,
                },
            ).fetchone()
            changed = _connection(row, f"{connection.key!r} at {connection.provider_key}")
            record(
                tx,
                actor=actor,
                action="connection.changed",
                target=connection_target(connection.provider_key, connection.key),
                detail=values.told(),
                request_id=request_id,
            )
        return changed

    def get(self, provider_key: str, key: str) -> Connection:
        """Raises NotFound."""
        row = self._database.row(_q.get, {"provider_key": provider_key, "key": key})
        return _connection(row, f"{key!r} at {provider_key}")

    def by_id(self, connection_id: int) -> Connection:
        """Raises NotFound."""
        return _connection(
            self._database.row(_q.by_id, {"connection_id": connection_id}), str(connection_id)
        )

    def list(self, provider_key: str | None = None) -> list[Connection]:
        """By provider and key."""
        rows = self._database.rows(_q.list_all, {"provider_key": provider_key})
        return [connection_of(row) for row in rows]

    def save_probe(self, connection_id: int, object_key: str, probe: FilterProbe) -> None:
        """Remember what a probe of the server-side filter found."""
        self._database.execute(
            _q.save_probe,
            {
                "connection_id": connection_id,
                "object_key": object_key,
                "probe": Jsonb(asdict(probe)),
            },
        )

    def _taken(self, provider_key: str, key: str) -> ConflictingChange:
        names = {"provider_key": provider_key, "key": key}
        deleted = self._database.row(_q.deleted_at, names)
        if deleted is not None:
            return ConflictingChange(
                f"The connection {key!r} at {provider_key} was deleted on "
                f"{deleted['deleted_at']:%Y-%m-%d}; its runs, its Dag and the audit keep that name.",
                hint="Choose another key.",
                code="CONNECTION_KEY_SPENT",
            )
        return ConflictingChange(
            f"There is already a connection {key!r} at {provider_key}.",
            hint="Use that connection, or choose another key.",
            code="CONNECTION_EXISTS",
        )


def _connection(row: Row | None, name: str) -> Connection:
    if row is None:
        raise NotFound(f"There is no connection {name}.", code="CONNECTION_UNKNOWN")
    return connection_of(row)


def connection_of(row: Row) -> Connection:
    """A row with every column of integration_connection."""
    return Connection(**{column: row[column] for column in _COLUMNS})
