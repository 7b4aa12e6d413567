"""The token pair of a connection and the columns that say how its authorisation stands."""

from __future__ import annotations

from dataclasses import fields

import psycopg
from psycopg.types.json import Jsonb

from integrations_hub.domain.connection import Connection
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.ports.credentials import RefreshClaim, Sealed
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load

_q = load("tokens")
_COLUMNS = tuple(field.name for field in fields(Connection))


class PostgresTokenStore:
    """Fulfils ports.TokenStore. Single-threaded like its Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, connection_id: int) -> tuple[Connection, Sealed | None, int]:
        """Raises NotFound."""
        row = self._database.row(_q.read, {"connection_id": connection_id})
        if row is None:
            raise NotFound(f"There is no connection {connection_id}.")
        sealed = None
        if row["token_ciphertext"] is not None:
            sealed = Sealed(row["token_key_id"], bytes(row["token_ciphertext"]))
        return _connection(row), sealed, row["rejected_version"]

    def claim(
        self, connection_id: int, claim: str, ttl_s: int, *, version: int
    ) -> RefreshClaim | None:
        """The committed claim, or None (held, in back-off, or another version)."""
        row = self._database.row(
            _q.claim,
            {"connection_id": connection_id, "claim": claim, "ttl_s": ttl_s, "version": version},
        )
        if row is None:
            return None
        return RefreshClaim(
            connection_id=connection_id,
            claim=claim,
            version=row["token_version"],
            tokens=Sealed(row["key_id"], bytes(row["ciphertext"])),
            interrupted=row["interrupted"],
        )

    def save_refreshed(
        self, claim: RefreshClaim, tokens: Sealed, *, expires_in_s: int, api_base_url: str | None
    ) -> bool:
        """False when version or claim has changed meanwhile."""
        saved = self._database.execute(
            _q.save_refreshed,
            _of(claim)
            | {
                "key_id": tokens.key_id,
                "ciphertext": tokens.ciphertext,
                "expires_in_s": expires_in_s,
                "api_base_url": api_base_url,
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
    ) -> Connection:
        """Raises ConflictingChange when another connection of the company is active already."""
        values = {
            "connection_id": connection_id,
            "expires_in_s": expires_in_s,
            "api_base_url": api_base_url,
            "company_id": company_id,
            "actor": actor,
            "key_id": tokens.key_id,
            "ciphertext": tokens.ciphertext,
            "request_id": request_id,
        }
        try:
            with self._database.transaction() as tx:
                row = tx.execute(_q.connect, values).fetchone()
                if row is None:
                    raise NotFound(f"There is no connection {connection_id}.")
                tx.execute(_q.save_secret, values)
                tx.execute(_q.audit, values | _entry(row))
        except psycopg.errors.UniqueViolation as error:
            raise ConflictingChange(
                f"Company {company_id} already has an active connection in this environment.",
                hint="Use that connection, or disconnect it first.",
            ) from error
        return _connection(row)

    def fail(self, claim: RefreshClaim, *, reason: str, needs_reauth: bool) -> None:
        """No effect when the claim was overtaken."""
        statement = _q.fail_for_good if needs_reauth else _q.fail_for_now
        self._database.execute(statement, _of(claim) | {"reason": reason})

    def reject(self, connection_id: int, version: int) -> None:
        """Versions of the future are ignored."""
        self._database.execute(_q.reject, {"connection_id": connection_id, "version": version})


def _of(claim: RefreshClaim) -> dict[str, object]:
    return {
        "connection_id": claim.connection_id,
        "version": claim.version,
        "claim": claim.claim,
    }


def _entry(row: Row) -> dict[str, object]:
    """Audit: who connected what to which company, and by which token version."""
    return {
        "action": "connection.connected",
        "target": f"connection:{row['provider_key']}:{row['key']}",
        "detail": Jsonb(
            {
                "company_id": row["company_id"],
                "api_base_url": row["api_base_url"],
                "token_version": row["token_version"],
            }
        ),
    }


def _connection(row: Row) -> Connection:
    return Connection(**{name: row[name] for name in _COLUMNS})
