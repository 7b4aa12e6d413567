"""Composition root: puts stores, transport, vault and provider packages together.

Finds providers by folder, never by name. Everything here is built on demand; nothing runs at import.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from integrations_hub.access import Broker
from integrations_hub.auth_wiring import auth_client, auth_client_for, keyring, registry
from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.domain.connection import Connection, ServedConnection
from integrations_hub.ports.credentials import TokenStore
from integrations_hub.ports.outside import Budget, Clock, HttpClient
from integrations_hub.ports.provider import AuthClient, ObjectClient, Refresher
from integrations_hub.refresh import RefreshFacts
from integrations_hub.store.budget import BudgetStore
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.transport.client import ProviderHttp
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.log_guard import install
from integrations_hub.transport.stored_credentials import StoredCredentials
from integrations_hub.transport.throttle import MAX_WAIT_S, Throttle
from integrations_hub.vault.secret_ref import SecretResolver, app_environ
from integrations_hub.vault.state_dir import TokenSpool, instance_id, state_dir

__all__ = [
    "auth_client",
    "auth_client_for",
    "auth_client_of",
    "broker",
    "keyring",
    "object_client",
    "provider_http",
    "registry",
]


def object_client(provider: Provider, obj: ObjectMeta, http: HttpClient) -> ObjectClient:
    """The provider's client for one object."""
    module = importlib.import_module(f"providers.{provider.key}.objects.{obj.key}")
    return cast("ObjectClient", module.build(provider, obj, http))


def auth_client_of(
    connection: Connection, environ: Mapping[str, str], resolve: SecretResolver | None
) -> AuthClient:
    """The auth client of the app that the connection signs in with. Raises SettingInvalid."""
    provider = registry().get_provider(connection.provider_key)
    return auth_client(provider, app_environ(provider, connection, environ, resolve))


def broker(
    database: Database,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    *,
    resolve: SecretResolver | None = None,
) -> Broker:
    """The token broker: only where the secret key is (api-server, bridge, CLI)."""

    def client_of(connection: Connection) -> Refresher:
        if connection.flow == "client_credentials":
            provider = registry().get_provider(connection.provider_key)
            return StoredCredentials(lambda own: auth_client_for(provider, own, environ))
        return auth_client_of(connection, environ, resolve)

    def facts_of(connection: Connection) -> RefreshFacts:
        facts = registry().get_provider(connection.provider_key).oauth
        if connection.flow == "client_credentials":  # nothing is used up by asking again
            return RefreshFacts(facts.refresh_margin_s, rotates=False, reuse="grace")
        return RefreshFacts(facts.refresh_margin_s, facts.refresh_rotates, facts.refresh_reuse)

    ours = instance_id(environ)

    @contextmanager
    def own_tokens() -> Iterator[TokenStore]:
        """A refresh runs on its own thread, and a Database belongs to one thread."""
        own = database.fork()
        try:
            yield PostgresTokenStore(own, ours)
        finally:
            own.close()

    return Broker(
        tokens=PostgresTokenStore(database, ours),
        own_tokens=own_tokens,
        vault=keyring(environ),
        spool=TokenSpool(_spool_folder(environ)),
        auth_client=client_of,
        clock=clock or SystemClock(),
        instance_id=ours,
        facts_of=facts_of,
    )


def _spool_folder(environ: Mapping[str, str]) -> Path | None:
    folder = state_dir(environ)
    return folder / "token_spool" if folder else None


def throttle(
    database: Database,
    connection: Connection,
    clock: Clock,
    *,
    only_thread: bool = False,
    max_wait_s: float = MAX_WAIT_S,
) -> Throttle:
    """The shared budget of a connection; `only_thread`: nobody sends but the thread that `database` belongs to."""
    return Throttle(
        BudgetStore(database, only_thread=only_thread),
        provider_key=connection.provider_key,
        connection_id=connection.id,
        clock=clock,
        max_wait_s=max_wait_s,
    )


def provider_http(
    *,
    database: Database,
    connection: Connection,
    lookup: Callable[[], ServedConnection],
    reject: Callable[[int], None] | None = None,
    heartbeat: Callable[[], None] = lambda: None,
    request_id: str,
    clock: Clock | None = None,
    environ: Mapping[str, str],
    budget: Budget | None = None,
) -> ProviderHttp:
    """Authorised HTTP for one connection, within the shared budget unless another one is given.

    `lookup` asks for the served connection (again), `reject` notes a token version that got a 401 (in
    `database` unless told otherwise).
    """
    install()
    provider = registry().get_provider(connection.provider_key)
    clock = clock or SystemClock()
    budget = budget or throttle(database, connection, clock)
    tokens = PostgresTokenStore(database)
    return ProviderHttp(
        provider=provider,
        lookup=lookup,
        reject=reject or (lambda version: tokens.reject(connection.id, version)),
        budget=budget,
        clock=clock,
        heartbeat=heartbeat,
        request_id=request_id,
        environ=environ,
        own_headers=connection.headers,
    )
