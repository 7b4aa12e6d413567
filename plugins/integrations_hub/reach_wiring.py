"""Composition root of the connection test: how it meets network, broker, budget and provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from integrations_hub import wiring
from integrations_hub.admin.connection_test import Reach
from integrations_hub.auth_wiring import expected_company
from integrations_hub.catalog.metadata import Provider, RateLimits
from integrations_hub.domain.connection import Connection, ServedConnection
from integrations_hub.ports.outside import Budget, Clock, HttpClient
from integrations_hub.store.budget import BudgetStore, connection_limits
from integrations_hub.store.database import Database
from integrations_hub.transport.client import required_headers
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.http_date import parse_http_date
from integrations_hub.transport.reach import SocketNetwork
from integrations_hub.transport.throttle import Unmetered
from integrations_hub.vault.secret_ref import SecretResolver

_WAIT_S = 10.0  # a person looks on


def reach(
    database: Database,
    environ: Mapping[str, str],
    *,
    metered: Callable[[], bool],
    clock: Clock | None = None,
    resolve: SecretResolver | None = None,
) -> Reach:
    """`metered`: False while the budget's rows may not be written (maintenance: nobody else sends)."""
    clock = clock or SystemClock()

    def serve(connection: Connection) -> ServedConnection:
        broker = wiring.broker(database, environ, resolve=resolve)
        return broker.serve(connection.id, wait_s=_WAIT_S)

    def budget(connection: Connection) -> Budget:
        if not metered():
            return Unmetered()
        return wiring.throttle(database, connection, clock, max_wait_s=_WAIT_S)

    def http_for(
        connection: Connection, served: ServedConnection
    ) -> AbstractContextManager[HttpClient]:
        first = [served]

        def lookup() -> ServedConnection:
            return first.pop() if first else _decided(serve(connection))

        return wiring.provider_http(
            database=database,
            connection=connection,
            lookup=lookup,
            request_id=f"test-{connection.id}",
            clock=clock,
            environ=environ,
            budget=budget(connection),
        )

    def limits_of(connection: Connection) -> RateLimits:
        provider = wiring.registry().get_provider(connection.provider_key)
        return connection_limits(provider, connection, environ)

    def paused_for(connection: Connection) -> float:
        rows = BudgetStore(database)
        try:
            return rows.paused_for(connection.provider_key, connection.id)
        finally:
            rows.close()

    return Reach(
        network=SocketNetwork(environ),
        clock=clock,
        serve=serve,
        http_for=http_for,
        client_for=wiring.object_client,
        hosts_of=lambda provider, connection: _hosts(provider, connection, environ),
        own_headers=lambda provider, own: required_headers(provider, environ, own),
        limits_of=limits_of,
        paused_for=paused_for,
        expected_company=lambda provider: expected_company(provider, environ),
        date_of=parse_http_date,
    )


def _decided(served: ServedConnection) -> ServedConnection:
    """Nobody waits a minute for a refresh that is under way."""
    return replace(served, state="refused") if served.state == "refreshing" else served


def _hosts(provider: Provider, connection: Connection, environ: Mapping[str, str]) -> list[str]:
    """Identity server and API, as they would be asked."""
    identity = environ.get(f"{provider.oauth.env_prefix}_AUTH_BASE_URL")
    api = connection.api_base_url or provider.base_url_variants[connection.environment].url
    return [identity or provider.oauth.auth_base_url, api]
