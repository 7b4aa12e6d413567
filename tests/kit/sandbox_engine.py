"""The six stages on a real database with the real HTTP client at a running sandbox."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from integrations_hub import admin_wiring, sync_wiring, wiring
from integrations_hub.domain.connection import Connection
from integrations_hub.refresh import seal_pair
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.vault.keyring import Keyring
from tests.kit.engine import Engine
from tests.kit.sandbox import SandboxProcess


class SandboxEngine(Engine):
    """One connection of the sandbox's company A after a real consent, and one enabled rule."""

    def __init__(
        self, url: str, sandbox: SandboxProcess, *, page_size: int = 500, **options: Any
    ) -> None:
        self.sandbox = sandbox
        self.environ = {
            "INTEGRATIONS_ENABLED": "true",
            "INTEGRATIONS_SECRET_KEY": Keyring.new_key(),
            **sandbox.settings(),
        }
        super().__init__(url, self, page_size=page_size, **options)  # type: ignore[arg-type]
        self.requests = 0

    def _connect(self) -> Connection:
        grant = self.sandbox.grant(self.environ)
        made = PostgresConnectionStore(self.database).create(
            provider_key="bqe",
            key="acme",
            label="Acme",
            environment="production",
            actor="t",
            request_id=None,
        )
        pair = seal_pair(
            wiring.keyring(self.environ),
            made.id,
            access=grant.access_token,
            refresh=grant.refresh_token,
        )
        admin_wiring.publish(self.database, self.environ)
        self.database.execute("UPDATE hub.rate_limit SET requests_per_minute = 60000, burst = 100")
        return PostgresTokenStore(self.database).save_connected(
            made.id,
            pair,
            expires_in_s=grant.expires_in_s,
            api_base_url=grant.api_base_url,
            company_id=grant.company_id,
            actor="t",
            request_id=None,
        )

    def stages(self) -> sync_wiring.Stages:
        """Stages on their own database sessions, with the provider's own client."""
        own = self._open.enter_context(closing(Database.from_url(self.url)))
        broker = wiring.broker(own, self.environ)
        return self._open.enter_context(
            sync_wiring.stages(
                open_database=lambda: Database.from_url(self.url),
                lookup=lambda _provider, _connection: broker.serve(self.connection.id),
                environ=self.environ,
                page_size=self.page_size,
            )
        )

    def loadable(self) -> set[str]:
        """External ids of what is synced."""
        return set(self.projects())
