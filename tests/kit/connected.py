"""A Hub connection at the BQE sandbox after a real consent, with the admin's services over one database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from integrations_hub import admin_wiring, wiring
from integrations_hub.access import Broker
from integrations_hub.admin.rules import Actor
from integrations_hub.admin_wiring import AdminServices
from integrations_hub.catalog.metadata import RateLimits
from integrations_hub.domain.connection import Connection
from integrations_hub.ports.connections import ConnectionStore
from integrations_hub.refresh import seal_pair
from integrations_hub.store.budget import BudgetStore
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.vault.keyring import Keyring
from tests.kit.bridge import FakeAirflow
from tests.kit.sandbox import SandboxProcess


@dataclass
class Connected:
    """The connection `acme` of company A; `admin` and `broker` as the bridge would build them."""

    url: str
    database: Database
    sandbox: SandboxProcess
    environ: dict[str, str]
    airflow: FakeAirflow = field(default_factory=FakeAirflow)

    @property
    def store(self) -> ConnectionStore:
        """Rows of connections."""
        return PostgresConnectionStore(self.database)

    @property
    def connection(self) -> Connection:
        """As it stands now."""
        return self.store.by_id(self.id)

    @property
    def id(self) -> int:
        """Of the only connection."""
        return int(self.database.rows("SELECT id FROM hub.integration_connection")[0]["id"])

    @property
    def actor(self) -> Actor:
        """Ada, an admin."""
        return Actor("ada", "req-1", self.airflow)

    def admin(self) -> AdminServices:
        """The services of one request, on this test's session."""
        return admin_wiring.admin(self.database, self.environ)

    def broker(self, database: Database | None = None) -> Broker:
        """The token broker."""
        return wiring.broker(database or self.database, self.environ)

    def set(self, columns: str) -> None:
        """UPDATE columns of the connection."""
        self.database.execute(f"UPDATE hub.integration_connection SET {columns}")

    def expire(self) -> None:
        """The access token is over."""
        self.set("token_expires_at = clock_timestamp()")

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of the Hub's database."""
        return self.database.rows(sql, params)


def connected(sandbox: SandboxProcess, database: Database, url: str) -> Connected:
    """Reset the sandbox, consent as company A, keep the tokens, publish wide limits."""
    sandbox.control("POST", "/reset", {"grants": True})
    environ = {
        "HUB_DATABASE_URL": url,
        "INTEGRATIONS_SECRET_KEY": Keyring.new_key(),
        **sandbox.settings(),
    }
    made = Connected(url, database, sandbox, environ)
    connection = made.store.create(
        provider_key="bqe", key="acme", label="Acme", environment="production", actor="ada", request_id=None
    )  # fmt: skip
    grant = sandbox.grant(environ)
    PostgresTokenStore(database).save_connected(
        connection.id,
        seal_pair(
            wiring.keyring(environ),
            connection.id,
            access=grant.access_token,
            refresh=grant.refresh_token,
        ),
        expires_in_s=grant.expires_in_s,
        api_base_url=grant.api_base_url or "",
        company_id=grant.company_id or "",
        actor="ada",
        request_id=None,
    )
    BudgetStore(database).publish_limits("bqe", RateLimits(60_000, 1000, 4, 60_000))
    return made
