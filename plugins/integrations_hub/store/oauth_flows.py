"""OAuth flows under way: one row per start, consumed by exactly one callback."""

from __future__ import annotations

from integrations_hub.ports.credentials import FlowState, Sealed, StartedFlow
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("oauth_flows")


class PostgresOAuthFlowStore:
    """Fulfils ports.OAuthFlowStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        flow: StartedFlow,
        *,
        nonce_hash: str,
        actor: str,
        cookie_hash: str,
        ttl_s: int,
    ) -> None:
        """Store a flow; old ones are cleared away."""
        with self._database.transaction() as tx:
            tx.execute(_q.purge)
            tx.execute(
                _q.start,
                {
                    "nonce_hash": nonce_hash,
                    "connection_id": flow.connection_id,
                    "actor": actor,
                    "cookie_hash": cookie_hash,
                    "key_id": flow.verifier.key_id,
                    "ciphertext": flow.verifier.ciphertext,
                    "redirect_uri": flow.redirect_uri,
                    "confirm_company_change": flow.confirm_company_change,
                    "ttl_s": ttl_s,
                },
            )

    def consume(self, *, nonce_hash: str, actor: str, cookie_hash: str) -> StartedFlow | None:
        """The flow for the one caller that fits, else None; its verifier is not stored any more."""
        row = self._database.row(
            _q.consume, {"nonce_hash": nonce_hash, "actor": actor, "cookie_hash": cookie_hash}
        )
        if row is None:
            return None
        return StartedFlow(
            connection_id=row["connection_id"],
            verifier=Sealed(row["verifier_key_id"], bytes(row["verifier_ciphertext"])),
            redirect_uri=row["redirect_uri"],
            confirm_company_change=row["confirm_company_change"],
        )

    def explain(self, nonce_hash: str) -> FlowState | None:
        """How a flow that was not consumed stands; None for one that nobody started."""
        row = self._database.row(_q.explain, {"nonce_hash": nonce_hash})
        return FlowState(**row) if row is not None else None

    def strangers_last_minute(self) -> int:
        """Refused callbacks without a flow of ours; counted up to 60."""
        row = self._database.row(_q.strangers, {})
        return int(row["n"]) if row is not None else 0
