"""Composition root of a run: its six stages over database sessions of their own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from integrations_hub.admin import maintenance
from integrations_hub.auth_wiring import registry
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.feature_flag import is_enabled
from integrations_hub.domain.run import Run, RunRequest
from integrations_hub.ports.outside import Clock, HttpClient
from integrations_hub.ports.provider import ObjectClient
from integrations_hub.ports.sync import ConnectionLookup
from integrations_hub.store.budget import connection_limits
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.plans import PostgresPlanStore
from integrations_hub.store.resync import PostgresResyncStore
from integrations_hub.store.rules import PostgresRuleStore
from integrations_hub.store.runs import PostgresRunStore
from integrations_hub.store.settings import PostgresSettingStore
from integrations_hub.store.sync import PostgresSyncStore
from integrations_hub.sync.fetch import Fetch
from integrations_hub.sync.filter_parents import FilterParents
from integrations_hub.sync.finish import Finish
from integrations_hub.sync.map_fields import MapFields
from integrations_hub.sync.plan import Plan
from integrations_hub.sync.replay import Replay
from integrations_hub.sync.upsert import Upsert
from integrations_hub.transport.client import ProviderHttp
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.log_guard import install
from integrations_hub.wiring import object_client, provider_http, throttle

# new objects: a page makes tens of thousands, none of them in a cycle; every 700 (the default) costs a tenth of the client's time
_COLLECT_EVERY = 50_000


@dataclass(frozen=True)
class Stages:
    """The six stages of a run, ready to be called by run id; each call is one try of one stage."""

    _plan: Plan
    _fetch: Fetch
    _filter_parents: FilterParents
    _map_fields: MapFields
    _upsert: Upsert
    _finish: Finish

    def plan(self, request: RunRequest) -> int:
        """The id of the run row; raises RunRefused leaves and RunMustWait."""
        return self._plan.run(request)

    def fetch(self, run_id: int) -> dict[str, Any]:
        """Stage the provider's records."""
        return self._fetch.run(run_id)

    def filter_parents(self, run_id: int) -> dict[str, Any]:
        """Drop children."""
        return self._filter_parents.run(run_id)

    def map_fields(self, run_id: int) -> dict[str, Any]:
        """Write the change set."""
        return self._map_fields.run(run_id)

    def upsert(self, run_id: int) -> dict[str, Any]:
        """Apply the change set."""
        return self._upsert.run(run_id)

    def finish(self, run_id: int) -> dict[str, Any]:
        """Close the run; raises RunFailed when it did not end well."""
        return self._finish.run(run_id)


@contextmanager
def stages(
    *,
    open_database: Callable[[], Database],
    lookup: ConnectionLookup,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    page_size: int | None = None,
) -> Iterator[Stages]:
    """All stages over one database session; pages that are asked for ahead, on other threads, need others."""
    install()
    # a run under way stops at its next transaction when maintenance begins, and goes on afterwards
    database, beside = (
        open_database().asking(lambda: maintenance.pause(environ)) for _ in range(2)
    )
    clock = clock or SystemClock()
    store, runs = PostgresSyncStore(database), PostgresRunStore(database)
    connections, catalog = PostgresConnectionStore(database), registry()
    replay = Replay(PostgresPlanStore(database), runs.get)
    opened = ExitStack()

    def http_for(
        run: Run, connection: Connection, heartbeat: Callable[[], None], only_thread: bool
    ) -> ProviderHttp:
        session = database if only_thread else beside
        http = provider_http(
            database=session,
            connection=connection,
            lookup=lambda: lookup(connection.provider_key, connection.key),
            heartbeat=heartbeat,
            request_id=f"run-{run.id}",
            clock=clock,
            environ=environ,
            budget=throttle(session, connection, clock, only_thread=only_thread),
        )
        return opened.enter_context(http)

    def client_for(obj: ObjectMeta, provider_key: str, http: HttpClient) -> ObjectClient:
        return object_client(catalog.get_provider(provider_key), obj, http)

    def pages_ahead(connection: Connection) -> int:
        provider = catalog.get_provider(connection.provider_key)
        return connection_limits(provider, connection, environ).max_concurrent

    made = Stages(
        Plan(
            store=store,
            runs=runs,
            rules=PostgresRuleStore(database),
            connections=connections,
            resyncs=PostgresResyncStore(database),
            replay=replay,
            settings=PostgresSettingStore(database),
            registry=catalog,
            clock=clock,
            enabled=is_enabled(environ),
            refuse_in_maintenance=lambda: maintenance.refuse(environ),
        ),
        Fetch(
            store=store,
            runs=runs,
            connections=connections,
            registry=catalog,
            http_for=http_for,
            client_for=client_for,
            pages_ahead=pages_ahead,
            clock=clock,
            page_size=page_size,
        ),
        FilterParents(store=store, runs=runs, connections=connections),
        MapFields(store=store, runs=runs, registry=catalog, replay=replay),
        Upsert(store=store, runs=runs),
        Finish(store=store, runs=runs),
    )
    opened.callback(gc.set_threshold, *gc.get_threshold())
    gc.set_threshold(_COLLECT_EVERY)
    try:
        yield made
    finally:
        opened.close()
        database.close()
        beside.close()
