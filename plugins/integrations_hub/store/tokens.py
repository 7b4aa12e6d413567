"""The token pair of a connection and the columns that say how its authorisation stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.ports.credentials import Failure, NewPair, RefreshClaim, Sealed
from integrations_hub.store.audit import record
from integrations_hub.store.connections import connection_of
from integrations_hub.store.database import Connection as Session
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load

_q = load("tokens")


class PostgresTokenStore:
    """Fulfils ports.TokenStore. Single-threaded like its Database.

    `instance_id`: which Hub holds what is saved here; None leaves that as it stands.
    """

    def __init__(self, database: Database, instance_id: str | None = None) -> None:
        self._database = database
        self._instance_id = instance_id

    def read(self, connection_id: int) -> tuple[Connection, Sealed | None, int]:
        """Raises NotFound."""
        row = self._database.row(_q.read, {"connection_id": connection_id})
        if row is None:
            raise NotFound(f"There is no connection {connection_id}.")
        return connection_of(row), pair_of(row), row["rejected_version"]

    def claim(
        self, connection_id: int, claim: str, ttl_s: int, *, version: int, intent: str | None
    ) -> RefreshClaim | None:
        """The committed claim, or None (held, in back-off, or another version)."""
        values = {
            "connection_id": connection_id,
            "claim": claim,
            "ttl_s": ttl_s,
            "version": version,
            "intent": intent,
        }
        row = self._database.row(_q.claim, values)
        if row is None:
            return None
        return RefreshClaim(connection_id, claim, version, intent, row["refresh_unknown_since"])

    def save_refreshed(self, claim: RefreshClaim, pair: NewPair, *, expires_in_s: float) -> bool:
        """False when the version has moved on, or another token than the one spent is stored."""
        saved = self._database.execute(
            _q.save_refreshed,
            _of(claim)
            | {
                "intent": claim.intent,
                "key_id": pair.tokens.key_id,
                "ciphertext": pair.tokens.ciphertext,
                "expires_in_s": expires_in_s,
                "life_s": pair.life_s,
                "api_base_url": pair.api_base_url,
                "instance_id": self._instance_id,
            },
        )
        return saved == 1

    def save_connected(
        self,
        connection_id: int,
        tokens: Sealed,
        *,
        expires_in_s: int,
        api_base_url: str,
        company_id: str,
        actor: str,
        request_id: str | None,
        flow: str = "authorization_code",
        missing_scopes: Sequence[str] = (),
    ) -> Connection:
        """Raises ConflictingChange: another connection of the company is active, or a run is."""
        values = {
            "connection_id": connection_id,
            "expires_in_s": expires_in_s,
            "api_base_url": api_base_url,
            "company_id": company_id,
            "actor": actor,
            "key_id": tokens.key_id,
            "ciphertext": tokens.ciphertext,
            "request_id": request_id,
            "instance_id": self._instance_id,
            "flow": flow,
            "missing_scopes": list(missing_scopes),
        }
        try:
            with self._database.transaction() as tx:
                row = _connect(tx, values)
        except psycopg.errors.UniqueViolation as error:
            twin = self._database.row(_q.active_twin, values)
            name = f" {twin['key']!r}" if twin else ""
            raise ConflictingChange(
                f"Company {company_id} already has the active connection{name} in this environment.",
                hint="Use that connection, or disconnect it first.",
                code="COMPANY_CONNECTED_ALREADY",
            ) from error
        return connection_of(row)

    def fail(self, claim: RefreshClaim, failure: Failure) -> None:
        """No effect when the claim was overtaken. What needs a person is audited."""
        values = _of(claim) | {"code": failure.code, "detail": failure.detail}
        if not failure.for_good:
            more = {"unknown": failure.unknown, "wait_s": failure.wait_s}
            self._database.execute(_q.fail_for_now, values | more)
            return
        with self._database.transaction() as tx:
            row = tx.execute(_q.fail_for_good, values).fetchone()
            if row is not None:
                record(
                    tx,
                    actor="hub",
                    action="connection.grant_rejected",
                    target=connection_target(row["provider_key"], row["key"]),
                    detail={"code": failure.code, "disabled": row["is_disabled"]},
                    request_id=None,
                )

    def misplaced(self, connection_id: int, version: int, *, code: str, detail: str) -> None:
        """The stored pair belongs to another connection: a person must reconnect; audited, once."""
        values = {
            "connection_id": connection_id,
            "version": version,
            "code": code,
            "detail": detail,
        }
        with self._database.transaction() as tx:
            row = tx.execute(_q.misplaced, values).fetchone()
            if row is not None:
                record(
                    tx, actor="hub", action="connection.secret_misplaced",
                    target=connection_target(row["provider_key"], row["key"]), detail={"code": code}, request_id=None,
                )  # fmt: skip

    def give_back(self, claim: RefreshClaim) -> None:
        """No effect when the claim was overtaken."""
        self._database.execute(_q.give_back, _of(claim))

    def reject(self, connection_id: int, version: int) -> None:
        """Versions of the future are ignored."""
        self._database.execute(_q.reject, {"connection_id": connection_id, "version": version})


class PostgresInstanceLock:
    """Fulfils ports.InstanceLock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def adopt(
        self, connection_id: int, instance_id: str, *, actor: str, request_id: str | None
    ) -> bool:
        """False when there was nothing to decide."""
        values = {"connection_id": connection_id, "instance_id": instance_id}
        with self._database.transaction() as tx:
            row = tx.execute(_q.adopt, values).fetchone()
            if row is None:
                return False
            record(
                tx,
                actor=actor,
                action="connection.adopted",
                target=connection_target(row["provider_key"], row["key"]),
                detail={"held_by": row["held_by"], "adopted_by": instance_id},
                request_id=request_id,
            )
        return True

    def lock_foreign(self, instance_id: str) -> list[str]:
        """Names like `provider/key`."""
        rows = self._database.rows(_q.lock_foreign, {"instance_id": instance_id})
        return [f"{row['provider_key']}/{row['key']}" for row in rows if row["is_locked"]]


def _connect(tx: Session, values: dict[str, Any]) -> Row:
    """Tokens, state, marks and audit of one consent."""
    before = tx.execute(_q.company_of, values).fetchone()
    if before is None:
        raise NotFound(f"There is no connection {values['connection_id']}.")
    changed = before["company_id"] not in (None, values["company_id"])
    if changed and before["busy"]:
        raise ConflictingChange(
            f"A run reads company {before['company_id']} at this moment. Nothing was changed.",
            hint="Wait for the run's end or cancel it, then connect again.",
            code="RUN_ACTIVE",
        )
    row = _one(tx.execute(_q.connect, values).fetchone())
    tx.execute(_q.save_secret, values)
    if changed:
        tx.execute(_q.forget_marks, values)
    record(
        tx,
        actor=values["actor"],
        action="connection.connected",
        target=connection_target(row["provider_key"], row["key"]),
        detail=_told(row, before["company_id"] if changed else None),
        request_id=values["request_id"],
    )
    return row


def _one(row: Row | None) -> Row:
    """The row was locked before, so it is there."""
    if row is None:
        raise NotFound("The connection is gone.")
    return row


def _of(claim: RefreshClaim) -> dict[str, object]:
    return {
        "connection_id": claim.connection_id,
        "version": claim.version,
        "claim": claim.claim,
    }


def _told(row: Row, former_company: str | None) -> dict[str, object]:
    """Audit: to which company it is connected, by which flow and token version."""
    change = {"former_company_id": former_company} if former_company else {}
    return {
        "company_id": row["company_id"],
        "api_base_url": row["api_base_url"],
        "token_version": row["token_version"],
        "flow": row["flow"],
        "missing_scopes": row["missing_scopes"],
        **change,
    }


def pair_of(row: Row) -> Sealed | None:
    """The sealed token pair of a row read with it; None without one."""
    if row["token_ciphertext"] is None:
        return None
    return Sealed(row["token_key_id"], bytes(row["token_ciphertext"]))
