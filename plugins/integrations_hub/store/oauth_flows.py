"""OAuth flows under way: one row per start, consumed by exactly one callback."""

from __future__ import annotations

from integrations_hub.ports.credentials import Sealed
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("oauth_flows")


class PostgresOAuthFlowStore:
    """Fulfils ports.OAuthFlowStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        *,
        nonce_hash: str,
        connection_id: int,
        actor: str,
        cookie_hash: str,
        verifier: Sealed,
        redirect_uri: str,
        ttl_s: int,
    ) -> None:
        """Store a flow; old ones are cleared away."""
        with self._database.transaction() as tx:
            tx.execute(_q.purge)
            tx.execute(
                _q.start,
                {
                    "nonce_hash": nonce_hash,
                    "connection_id": connection_id,
                    "actor": actor,
                    "cookie_hash": cookie_hash,
                    "key_id": verifier.key_id,
                    "ciphertext": verifier.ciphertext,
                    "redirect_uri": redirect_uri,
                    "ttl_s": ttl_s,
                },
            )

    def consume(
        self, *, nonce_hash: str, actor: str, cookie_hash: str
    ) -> tuple[int, Sealed, str] | None:
        """(connection_id, verifier, redirect_uri) for the one caller that fits, else None."""
        row = self._database.row(
            _q.consume, {"nonce_hash": nonce_hash, "actor": actor, "cookie_hash": cookie_hash}
        )
        if row is None:
            return None
        verifier = Sealed(row["verifier_key_id"], bytes(row["verifier_ciphertext"]))
        return row["connection_id"], verifier, row["redirect_uri"]
