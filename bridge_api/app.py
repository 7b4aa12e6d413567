"""The bridge as an app: mounted at /hub in Airflow's api-server, or under a root app of its own."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from bridge_api import errors
from bridge_api.airflow_client import AirflowTransport
from bridge_api.database_pool import DatabasePool
from bridge_api.deps import Bridge
from bridge_api.envelope import CONTRACT, Envelope
from bridge_api.key_gate import KeyGate
from bridge_api.models.problems import Problem
from bridge_api.remote_auth import RemoteAuth
from bridge_api.routes import (
    adopt,
    audit,
    capabilities,
    connect,
    connection_test,
    connections,
    health,
    jobs,
    mappings,
    plans,
    projects,
    providers,
    rules,
    state,
)
from bridge_api.routing import refuse_unguarded
from bridge_api.security import AuthBackend
from bridge_api.settings import BridgeSettings, read_settings
from integrations_hub import admin_wiring
from integrations_hub.admin import maintenance
from integrations_hub.errors import DatabaseUnavailable, DatabaseUnusable, HubError, SettingInvalid
from integrations_hub.store.database import Database
from integrations_hub.store.migrate import current, head
from integrations_hub.transport.hosts import check_base_url
from integrations_hub.transport.log_guard import install
from integrations_hub.vault.secret_ref import SecretResolver

log = logging.getLogger(__name__)
_AGAIN_S = 5.0
# order matters where a fixed word stands at the place of a key: health, jobs and audit before {provider}
_ROUTERS = (
    health.router,
    capabilities.router,
    jobs.router,
    plans.router,
    audit.router,
    connections.router,
    adopt.router,
    connection_test.router,
    connect.router,
    rules.router,
    state.router,
    mappings.router,
    providers.router,
    projects.router,
)


def create_app(
    auth: AuthBackend,
    airflow: ASGIApp | str,
    environ: Mapping[str, str] | None = None,
    *,
    resolve: SecretResolver | None = None,
) -> FastAPI:
    """The app to mount at /hub. `airflow`: the api-server's ASGI app in this process, or its base URL.

    `resolve` reads a connection's secret_ref; None where there is no Airflow to ask.

    Never raises for a missing key or database: then the routes answer with the problem.
    """
    install()
    settings = read_settings(os.environ if environ is None else environ)
    transport = AirflowTransport(airflow)
    app = FastAPI(
        title="Integrations Hub",
        version=CONTRACT,
        servers=[{"url": "/hub"}],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # the contract is the committed openapi.json
        generate_unique_id_function=_operation_id,
        lifespan=_lifespan,
        responses={"default": {"model": Problem, "description": "What went wrong"}},
    )
    pool = DatabasePool(lambda: Database.from_url(settings.database_url))
    app.state.bridge = Bridge(
        settings=settings,
        auth=auth,
        airflow_for=transport.client_for,
        pool=pool,
        keys=KeyGate(pool, settings.environ),
        resolve=resolve,
    )
    for router in _ROUTERS:
        app.include_router(router)
    errors.install(app)
    app.add_middleware(Envelope)
    refuse_unguarded(app)
    return app


def standalone() -> FastAPI:
    """The bridge alone, for `uvicorn --factory bridge_api.app:standalone`; Airflow answers for sign-ins.

    Raises what `read_settings` found, or SettingInvalid: a process of our own ends with the sentence.
    """
    environ = os.environ
    settings = read_settings(environ)
    if settings.blocked_by is not None:
        raise settings.blocked_by
    if settings.public_url is not None:
        check_base_url(settings.public_url, setting="HUB_PUBLIC_URL")
    base_url = environ.get("AIRFLOW__API__BASE_URL", "")
    if not base_url:
        raise SettingInvalid(
            "AIRFLOW__API__BASE_URL is not set, so the bridge cannot ask Airflow who signs in.",
            hint="Set it to the address of the api-server.",
        )
    _refuse_dropped_keys(settings)
    hub = create_app(RemoteAuth(AirflowTransport(base_url), environ), base_url, environ)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _lifespan(hub):
            yield

    root = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    root.mount("/hub", hub)
    return root


def _refuse_dropped_keys(settings: BridgeSettings) -> None:
    """Raise SecretKeyDropped; a database that is away is asked again with each request."""
    if not settings.enabled:
        return
    database = Database.from_url(settings.database_url)
    try:
        if current(settings.database_url) == head():
            admin_wiring.secrets(database, settings.environ).refuse_dropped_keys()
    except (DatabaseUnavailable, DatabaseUnusable) as error:
        log.warning("keys_not_checked error=%s", error.message)
    finally:
        database.close()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    bridge: Bridge = app.state.bridge
    task = asyncio.create_task(_publish(bridge.settings))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        bridge.pool.close()


async def _publish(settings: BridgeSettings) -> None:
    """Put metadata and limits in force, again and again until the database takes them.

    In maintenance nothing is written: it waits.
    """
    while True:
        if maintenance.reason(settings.environ) is not None:
            await asyncio.sleep(_AGAIN_S)
            continue
        try:
            await asyncio.to_thread(_publish_once, settings)
        except HubError as error:
            log.warning("limits_not_published code=%s error=%s", error.code, error.message)
            await asyncio.sleep(_AGAIN_S)
        else:
            log.info("limits_published")
            return


def _publish_once(settings: BridgeSettings) -> None:
    database = Database.from_url(settings.database_url)
    try:
        admin_wiring.publish(database, settings.environ)
    finally:
        database.close()


def _operation_id(route: APIRoute) -> str:
    return route.name
