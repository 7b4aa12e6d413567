"""Connecting by client credentials: no redirect; what is stored was tried at the provider first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from integrations_hub.admin.granted import Asked, Granted, offered
from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection, TokenGrant
from integrations_hub.domain.credentials import ClientCredentials
from integrations_hub.errors import HubError
from integrations_hub.ports.provider import AuthClient
from integrations_hub.ports.records import AuditStore

FLOW = "client_credentials"


@dataclass(frozen=True)
class AppConnects:
    """`probe(connection, grant, api_base)` sends the provider's test request; raises what it found."""

    audit: AuditStore
    registry: Registry
    granted: Granted
    client_for: Callable[[Provider, ClientCredentials], AuthClient]
    probe: Callable[[Connection, TokenGrant, str], None]

    def connect(
        self,
        connection: Connection,
        credentials: ClientCredentials,
        asked: Asked,
        *,
        named_company: str | None,
    ) -> Connection:
        """Get a token, try it at the API, keep both sealed; all of it or nothing.

        `named_company`: the company id, for providers whose answers do not name it. Raises
        ConfigurationError (flow not offered, company), GrantRejected, what the API answers to the
        test request, or ConflictingChange.
        """
        provider = self.registry.get_provider(connection.provider_key)
        try:
            offered(provider, FLOW)
            grant = self.client_for(provider, credentials).client_credentials()
            self.probe(connection, grant, self.granted.api_base(provider, connection, grant))
            return self.granted.keep(
                provider,
                connection,
                grant,
                flow=FLOW,
                refresh=credentials.to_text(),
                asked=asked,
                named_company=named_company,
            )
        except HubError as error:
            self.audit.add(
                actor=asked.actor,
                action="connection.connect_failed",
                target=connection_target(connection.provider_key, connection.key),
                detail={"code": error.code, "flow": FLOW},
                request_id=asked.request_id,
            )
            raise
