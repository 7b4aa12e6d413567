"""Composition root of what admins do: the bridge's services over one database session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations_hub import wiring
from integrations_hub.admin import maintenance
from integrations_hub.admin.adoption import Adoption, lock_foreign
from integrations_hub.admin.app_connect import AppConnects
from integrations_hub.admin.changes import Changes
from integrations_hub.admin.connection_test import ConnectionTest
from integrations_hub.admin.connections import Connections
from integrations_hub.admin.consent import Consents
from integrations_hub.admin.forecast import Forecasts
from integrations_hub.admin.granted import Granted
from integrations_hub.admin.lifecycle import Lifecycle
from integrations_hub.admin.mappings import Mappings
from integrations_hub.admin.oauth_state import StateSeal
from integrations_hub.admin.plans import Plans
from integrations_hub.admin.rules import Rules
from integrations_hub.admin.runs import Runs
from integrations_hub.admin.sealed_secrets import Secrets
from integrations_hub.admin.state import States
from integrations_hub.auth_wiring import expected_company
from integrations_hub.catalog.metadata import Provider, RateLimits
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection, ServedConnection, TokenGrant
from integrations_hub.domain.feature_flag import is_enabled
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.projects import LocalProjectStore
from integrations_hub.ports.provider import AuthClient
from integrations_hub.ports.quarantine import QuarantineStore
from integrations_hub.ports.records import AuditStore, HeartbeatStore
from integrations_hub.reach_wiring import reach
from integrations_hub.store.audit import PostgresAuditStore
from integrations_hub.store.budget import BudgetStore, connection_limits, effective_limits
from integrations_hub.store.changes import PostgresChangeStore
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.heartbeats import PostgresHeartbeatStore
from integrations_hub.store.lifecycle import PostgresLifecycleStore
from integrations_hub.store.oauth_flows import PostgresOAuthFlowStore
from integrations_hub.store.plans import PostgresPlanStore
from integrations_hub.store.projects import PostgresProjectStore
from integrations_hub.store.providers import PostgresProviderStore
from integrations_hub.store.quarantine import PostgresQuarantineStore
from integrations_hub.store.resync import PostgresResyncStore
from integrations_hub.store.rules import PostgresRuleStore
from integrations_hub.store.runs import PostgresRunStore
from integrations_hub.store.sealed_secrets import PostgresSecretStore
from integrations_hub.store.settings import PostgresSettingStore
from integrations_hub.store.state import PostgresStateStore
from integrations_hub.store.sync import PostgresSyncStore
from integrations_hub.store.tokens import PostgresInstanceLock, PostgresTokenStore
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.hosts import host_guard
from integrations_hub.transport.oauth import pkce_pair
from integrations_hub.vault.keyring import Keyring
from integrations_hub.vault.secret_ref import SecretResolver
from integrations_hub.vault.state_dir import instance_id


@dataclass(frozen=True)
class AdminServices:
    """What the routes call. What needs the secret key or this Hub's id is built when asked for."""

    registry: Registry
    connections: Connections
    adoption: Callable[[], Adoption]
    connection_test: ConnectionTest
    lifecycle: Lifecycle
    rules: Rules
    runs: Runs
    states: States
    changes: Changes
    plans: Plans
    projects: LocalProjectStore
    heartbeats: HeartbeatStore
    audit: AuditStore
    consents: Callable[[], Consents]
    app_connects: Callable[[], AppConnects]
    mappings: Mappings
    quarantine: QuarantineStore


AuthClients = Callable[[Provider], AuthClient]


def admin(
    database: Database,
    environ: Mapping[str, str],
    *,
    auth_client: AuthClients | None = None,
    clock: Clock | None = None,
    resolve: SecretResolver | None = None,
) -> AdminServices:
    """Services for one request: a Database belongs to one thread at a time."""
    registry = wiring.registry()
    store = PostgresConnectionStore(database)
    projects = PostgresProjectStore(database)

    def limits_of(connection: Connection) -> RateLimits:
        provider = registry.get_provider(connection.provider_key)
        return connection_limits(provider, connection, environ)

    connections = Connections(store, registry, lambda c: limits_of(c).max_concurrent)
    runs = PostgresRunStore(database)
    forecasts = Forecasts(runs, registry, lambda c: _pace(limits_of(c)))
    settings = PostgresSettingStore(database)
    rules = Rules(
        PostgresRuleStore(database),
        connections,
        projects,
        registry,
        clock or SystemClock(),
        forecasts,
        settings,
    )

    def granted(ring: Keyring) -> Granted:
        return Granted(
            tokens=PostgresTokenStore(database, instance_id(environ)),
            vault=ring,
            check_host=lambda provider, url: host_guard(provider, environ).check(url),
            expected_company=lambda provider: expected_company(provider, environ),
        )

    def client_of(connection: Connection) -> AuthClient:
        if auth_client is not None:
            return auth_client(registry.get_provider(connection.provider_key))
        return wiring.auth_client_of(connection, environ, resolve)

    def consents() -> Consents:
        ring = wiring.keyring(environ)
        return Consents(
            connections=store,
            flows=PostgresOAuthFlowStore(database),
            audit=PostgresAuditStore(database),
            registry=registry,
            vault=ring,
            seal=StateSeal(ring),
            clock=clock or SystemClock(),
            granted=granted(ring),
            auth_client=client_of,
            pkce_pair=pkce_pair,
        )

    def app_connects() -> AppConnects:
        return AppConnects(
            audit=PostgresAuditStore(database),
            registry=registry,
            granted=granted(wiring.keyring(environ)),
            client_for=lambda provider, own: wiring.auth_client_for(provider, own, environ),
            probe=lambda *found: _probe(database, environ, *found),
        )

    asked = Runs(runs, rules, is_enabled(environ))

    def open_() -> bool:
        return maintenance.reason(environ) is None

    lifecycle = PostgresLifecycleStore(database)
    return AdminServices(
        registry=registry,
        connections=connections,
        adoption=lambda: Adoption(
            connections, PostgresInstanceLock(database), instance_id(environ)
        ),
        connection_test=ConnectionTest(
            store=lifecycle,
            connections=connections,
            reach=reach(database, environ, metered=open_, clock=clock, resolve=resolve),
            may_remember=open_,
        ),
        lifecycle=Lifecycle(
            store=lifecycle,
            connections=connections,
            audit=PostgresAuditStore(database),
            vault=lambda: wiring.keyring(environ),
            auth_client=client_of,
        ),
        rules=rules,
        runs=asked,
        states=States(
            rules, PostgresStateStore(database), PostgresResyncStore(database), registry, forecasts
        ),
        changes=Changes(runs, PostgresChangeStore(database), registry),
        plans=Plans(PostgresPlanStore(database), asked),
        projects=projects,
        heartbeats=PostgresHeartbeatStore(database),
        audit=PostgresAuditStore(database),
        consents=consents,
        app_connects=app_connects,
        mappings=Mappings(settings, connections, registry, PostgresSyncStore(database)),
        quarantine=PostgresQuarantineStore(database),
    )


def secrets(database: Database, environ: Mapping[str, str]) -> Secrets:
    """The stored secrets and the ring of this environment. Raises SecretKeyMissing."""
    return Secrets(wiring.keyring(environ), PostgresSecretStore(database))


def publish(database: Database, environ: Mapping[str, str]) -> None:
    """What a Hub does first: lock foreign connections, put metadata and limits in force. Repeatable."""
    lock_foreign(PostgresInstanceLock(database), instance_id(environ))
    providers = wiring.registry().list_providers()
    PostgresProviderStore(database).sync(providers)
    for provider in providers:
        limits = effective_limits(provider.rate_limits, provider.oauth.env_prefix, environ)
        BudgetStore(database).publish_limits(provider.key, limits)


def _pace(limits: RateLimits) -> int:
    """Requests a minute, never above the provider's total."""
    return min(limits.requests_per_minute, limits.global_requests_per_minute)


def _probe(
    database: Database,
    environ: Mapping[str, str],
    connection: Connection,
    grant: TokenGrant,
    api_base_url: str,
) -> None:
    """The provider's test request with a token that is not stored yet."""
    served = ServedConnection(
        state="ready",
        provider_key=connection.provider_key,
        connection_key=connection.key,
        access_token=grant.access_token,
        token_version=connection.token_version,
        api_base_url=api_base_url,
    )
    request = wiring.registry().get_provider(connection.provider_key).http.test_request
    beside = database.fork()
    try:
        with wiring.provider_http(
            database=beside,
            connection=connection,
            lookup=lambda: served,
            reject=lambda _: None,
            request_id=f"connect-{connection.id}",
            environ=environ,
        ) as http:
            http.get(request.path, request.query)
    finally:
        beside.close()
