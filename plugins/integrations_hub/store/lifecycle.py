"""Connections switched off and on, disconnected, deleted. Each change stands with its audit entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import NotFound, TooOften
from integrations_hub.ports.credentials import Sealed
from integrations_hub.ports.lifecycle import Holdings
from integrations_hub.store.audit import record
from integrations_hub.store.connections import connection_of
from integrations_hub.store.database import Connection as Session
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load
from integrations_hub.store.tokens import pair_of

_q = load("lifecycle")


class PostgresLifecycleStore:
    """Fulfils ports.LifecycleStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_disabled(
        self, connection: Connection, disabled: bool, *, actor: str, request_id: str | None
    ) -> Connection:
        """No audit entry when it stands so already. Raises NotFound."""
        values = {"connection_id": connection.id, "disabled": disabled}
        with self._database.transaction() as tx:
            current = _locked(tx, connection)
            row = tx.execute(_q.set_disabled, values).fetchone()
            if row is None:
                return connection_of(current)
            action = "connection.disabled" if disabled else "connection.enabled"
            _audit(tx, connection, action, {}, actor, request_id)
        return connection_of(row)

    def disconnect(
        self, connection: Connection, *, actor: str, request_id: str | None
    ) -> tuple[Connection, Sealed | None]:
        """Forget tokens and sign-ins under way; returns the sealed pair, None without one.

        No audit entry when there was nothing to forget. Raises NotFound.
        """
        with self._database.transaction() as tx:
            current = _locked(tx, connection)
            pair = pair_of(current)
            tx.execute(_q.forget_flows, {"connection_id": connection.id})
            if pair is None and not current["is_active"]:
                return connection_of(current), None
            row = _forget(tx, connection)
            detail = {"company_id": current["company_id"]}
            _audit(tx, connection, "connection.disconnected", detail, actor, request_id)
        return connection_of(row), pair

    def note_test(
        self, connection: Connection, *, per_minute: int, actor: str, request_id: str | None
    ) -> None:
        """The audit entry of a connection test; the entries are what is counted, in every process.

        Raises TooOften above `per_minute`, NotFound.
        """
        with self._database.transaction() as tx:
            _locked(tx, connection)
            row = tx.execute(_q.tests, {"target": _target(connection)}).fetchone()
            if row is not None and row["n"] >= per_minute:
                raise TooOften(
                    f"{connection.label} was tested {row['n']} times within a minute.",
                    retry_after_s=row["wait_s"],
                )
            _audit(tx, connection, "connection.tested", {}, actor, request_id)

    def holdings(self, connection: Connection) -> Holdings:
        """Raises NotFound."""
        with self._database.transaction() as tx:
            return _holdings(tx, connection)

    def delete(
        self,
        connection: Connection,
        objects: Sequence[str],
        *,
        actor: str,
        request_id: str | None,
    ) -> tuple[Holdings, Sealed | None]:
        """Take the leases, then forget everything but runs, rules and audit.

        Returns what hung on it and the sealed pair that is to be revoked. Raises LeaseHeld while a
        run works, NotFound.
        """
        names = {
            "connection_id": connection.id,
            "provider_key": connection.provider_key,
            "key": connection.key,
            "keys": [f"{connection.provider_key}:{connection.key}:{each}" for each in objects],
            "actor": actor,
        }
        with self._database.transaction() as tx:
            tx.execute(_q.make_leases, names)
            tx.execute(_q.lock_leases, names)
            pair = pair_of(_locked(tx, connection))
            held = _holdings(tx, connection)
            held.refuse_working(connection)
            _forget(tx, connection)
            for statement in (
                _q.take_leases,
                _q.delete_links,
                _q.delete_rest,
                _q.switch_rules_off,
                _q.cancel_runs,
                _q.bury,
            ):
                tx.execute(statement, names)
            _audit(tx, connection, "connection.deleted", asdict(held), actor, request_id)
        return held, pair


def _locked(tx: Session, connection: Connection) -> Row:
    row = tx.execute(_q.lock, {"connection_id": connection.id}).fetchone()
    if row is None:
        raise _unknown(connection)
    return row


def _forget(tx: Session, connection: Connection) -> Row:
    tx.execute(_q.forget_tokens, {"connection_id": connection.id})
    row = tx.execute(_q.disconnect, {"connection_id": connection.id}).fetchone()
    if row is None:
        raise _unknown(connection)
    return row


def _holdings(tx: Session, connection: Connection) -> Holdings:
    row = tx.execute(_q.holdings, {"connection_id": connection.id}).fetchone()
    if row is None:
        raise _unknown(connection)
    return Holdings(**{**row, "enabled_dags": tuple(row["enabled_dags"])})


def _unknown(connection: Connection) -> NotFound:
    name = f"{connection.key!r} at {connection.provider_key}"
    return NotFound(f"There is no connection {name}.", code="CONNECTION_UNKNOWN")


def _target(connection: Connection) -> str:
    return connection_target(connection.provider_key, connection.key)


def _audit(
    tx: Session,
    connection: Connection,
    action: str,
    detail: dict[str, Any],
    actor: str,
    request_id: str | None,
) -> None:
    record(
        tx,
        actor=actor,
        action=action,
        target=_target(connection),
        detail=detail,
        request_id=request_id,
    )
