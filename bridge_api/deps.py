"""What routes are given: a database session, the admin services on it, Airflow, and who acts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from bridge_api.database_pool import DatabasePool
from bridge_api.key_gate import KeyGate
from bridge_api.public_url import public_url
from bridge_api.security import AuthBackend
from bridge_api.settings import BridgeSettings
from integrations_hub import admin_wiring
from integrations_hub.admin.rules import Actor
from integrations_hub.admin_wiring import AdminServices, AuthClients
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.vault.secret_ref import SecretResolver


@dataclass(frozen=True)
class Bridge:
    """The app's own things, in app.state.bridge."""

    settings: BridgeSettings
    auth: AuthBackend
    airflow_for: Callable[[Request], AirflowClient]
    pool: DatabasePool = field(repr=False)
    keys: KeyGate = field(repr=False)
    resolve: SecretResolver | None = None


def bridge(request: Request) -> Bridge:
    """What create_app put together."""
    found: Bridge = request.app.state.bridge
    return found


async def auth_clients() -> AuthClients | None:
    """None = the providers' own clients; tests put theirs here."""
    return None


async def airflow(request: Request) -> AirflowClient:
    """Airflow with the credential of this request."""
    return bridge(request).airflow_for(request)


async def services(
    request: Request, clients: Annotated[AuthClients | None, Depends(auth_clients)]
) -> AsyncIterator[AdminServices]:
    """The admin services on a database session of this request."""
    own = bridge(request)
    with own.pool.borrow() as database:
        yield admin_wiring.admin(
            database, own.settings.environ, auth_client=clients, resolve=own.resolve
        )


async def actor(request: Request, client: Annotated[AirflowClient, Depends(airflow)]) -> Actor:
    """Who the guard let in."""
    return Actor(request.state.hub_user, request.state.request_id, client)


def redirect_uri(request: Request, provider_key: str) -> str:
    """Where the provider sends the browser back to (D1). Raises SettingInvalid without a safe host."""
    base = public_url(request, bridge(request).settings.environ)
    return f"{base}/hub/api/integrations/{provider_key}/connect/callback"


_KEY = r"^[a-z0-9]+(_[a-z0-9]+)*$"
Key = Annotated[str, Path(pattern=_KEY, max_length=40)]
ConnectionQuery = Annotated[
    str | None,
    Query(
        alias="connection",
        pattern=_KEY,
        max_length=40,
        description="Connection key; without it the only active connection of the provider.",
    ),
]
Services = Annotated[AdminServices, Depends(services)]
Acting = Annotated[Actor, Depends(actor)]
