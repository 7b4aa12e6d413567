"""Token refresh as it is often written: each variant must fail the harness that the Hub's broker passes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from integrations_hub import wiring
from integrations_hub.domain.connection import Connection, ServedConnection
from integrations_hub.errors import GrantRejected
from integrations_hub.refresh import purpose_of, seal_pair
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore

LOCK_TTL_S = 0.5


class Serves(Protocol):
    def serve(self, connection_id: int, *, wait_s: float) -> ServedConnection: ...


def made(kind: str, database: Database, environ: Mapping[str, str]) -> Serves:
    """The Hub's own broker, or one of the variants by name."""
    kinds: dict[str, type[_NoLock]] = {
        "no_lock": _NoLock,
        "reread": _RereadOnRejection,
        "ttl_lock": _TtlLockWithoutOwner,
    }
    return kinds[kind](database, environ) if kind else wiring.broker(database, environ)


class _NoLock:
    """Whoever sees an expired token refreshes it."""

    def __init__(self, database: Database, environ: Mapping[str, str]) -> None:
        self.database, self.ring = database, wiring.keyring(environ)
        self.store = PostgresTokenStore(database)
        self.client = wiring.auth_client(wiring.registry().get_provider("bqe"), environ)

    def serve(self, connection_id: int, *, wait_s: float) -> ServedConnection:
        connection, pair = self.read(connection_id)
        if connection.token_expires_at is None or self.expired(connection_id):
            return self.refreshed(connection, pair)
        return _ready(connection, pair)

    def refreshed(self, connection: Connection, pair: dict[str, str]) -> ServedConnection:
        try:
            grant = self.client.refresh(pair["refresh_token"])
        except GrantRejected as error:
            return ServedConnection("refused", "bqe", connection.key, reason=error.message)
        refresh = grant.refresh_token or pair["refresh_token"]
        sealed = seal_pair(self.ring, connection.id, access=grant.access_token, refresh=refresh)
        with self.database.transaction() as tx:
            tx.execute(
                "UPDATE hub.integration_connection SET token_version = token_version + 1,"
                " token_expires_at = clock_timestamp() + interval '1 h' WHERE id = %(id)s",
                {"id": connection.id},
            )
            tx.execute(
                "UPDATE hub.encrypted_secret SET ciphertext = %(ciphertext)s, key_id = %(key_id)s"
                " WHERE connection_id = %(id)s",
                {"id": connection.id, "ciphertext": sealed.ciphertext, "key_id": sealed.key_id},
            )
        return _ready(*self.read(connection.id))

    def read(self, connection_id: int) -> tuple[Connection, dict[str, str]]:
        connection, sealed, _ = self.store.read(connection_id)
        assert sealed is not None
        return connection, json.loads(self.ring.open(sealed, purpose=purpose_of(connection_id)))

    def expired(self, connection_id: int) -> bool:
        rows = self.database.rows(
            "SELECT token_expires_at < clock_timestamp() AS expired"
            " FROM hub.integration_connection WHERE id = %(id)s",
            {"id": connection_id},
        )
        return bool(rows[0]["expired"])


class _RereadOnRejection(_NoLock):
    """The popular mend: after invalid_grant take what another process may have stored."""

    def refreshed(self, connection: Connection, pair: dict[str, str]) -> ServedConnection:
        served = super().refreshed(connection, pair)
        end = time.monotonic() + 5
        while served.state == "refused" and time.monotonic() < end:
            now, stored = self.read(connection.id)
            if now.token_version > connection.token_version:
                return _ready(now, stored)
            time.sleep(0.05)
        return served


class _TtlLockWithoutOwner(_NoLock):
    """A lock that ends by time whoever still works under it, and that anybody gives back."""

    def serve(self, connection_id: int, *, wait_s: float) -> ServedConnection:
        while self.expired(connection_id):
            if self._lock(connection_id):
                connection, pair = self.read(connection_id)
                try:
                    return self.refreshed(connection, pair)
                finally:
                    self._unlock(connection_id)
            time.sleep(0.05)
        return _ready(*self.read(connection_id))

    def _lock(self, connection_id: int) -> bool:
        return bool(
            self.database.execute(
                "UPDATE hub.integration_connection"
                " SET refresh_claim_until = clock_timestamp() + make_interval(secs => %(ttl)s)"
                " WHERE id = %(id)s AND coalesce(refresh_claim_until, '-infinity') < clock_timestamp()",
                {"id": connection_id, "ttl": LOCK_TTL_S},
            )
        )

    def _unlock(self, connection_id: int) -> None:
        self.database.execute(
            "UPDATE hub.integration_connection SET refresh_claim_until = NULL WHERE id = %(id)s",
            {"id": connection_id},
        )


def _ready(connection: Connection, pair: dict[str, Any]) -> ServedConnection:
    return ServedConnection(
        "ready", "bqe", connection.key, access_token=pair["access_token"],
        token_version=connection.token_version,
    )  # fmt: skip
