"""Connections: list, create, edit, status; off and on, disconnect, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bridge_api.deps import Acting, Key, Services
from bridge_api.models.connections import (
    ConnectionChange,
    ConnectionList,
    ConnectionOff,
    ConnectionView,
    Deleted,
    Deletion,
    NewConnection,
)
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/connections",
    tags=["connections"],
    responses=problems(401, 403, 404, 422, 503),
)


@router.get("")
def list_connections(provider: Key, services: Services) -> ConnectionList:
    """Every connection of the provider; there are few, so they come on one page."""
    found = services.connections.list(provider)
    return ConnectionList(items=[ConnectionView.of(one) for one in found])


@router.post("", status_code=201, responses=problems(409))
def create_connection(
    provider: Key, body: NewConnection, services: Services, actor: Acting
) -> ConnectionView:
    """A connection that is not authorised yet; it is shown in Airflow at once."""
    made = services.connections.create(
        provider,
        key=body.key,
        label=body.label,
        environment=body.environment,
        actor=actor.name,
        request_id=actor.request_id,
        airflow=actor.airflow,
        values=body.values(),
    )
    return ConnectionView.of(made)


@router.get("/{key}")
def get_connection(provider: Key, key: Key, services: Services) -> ConnectionView:
    """State, reason, since when, and what to do next."""
    return ConnectionView.of(services.connections.get(provider, key))


@router.patch("/{key}", responses=problems(409))
def change_connection(
    provider: Key, key: Key, body: ConnectionChange, services: Services, actor: Acting
) -> ConnectionView:
    """Label, limits, headers, secret_ref; running tasks keep to new limits with their next request."""
    changed = services.connections.change(
        provider, key, values=body.values(), actor=actor.name, request_id=actor.request_id
    )
    return ConnectionView.of(changed)


@router.post("/{key}/disable")
def disable_connection(
    provider: Key, key: Key, services: Services, actor: Acting
) -> ConnectionView:
    """Nothing uses it until it is enabled; a run that works stops with its next request."""
    return ConnectionView.of(services.lifecycle.disable(provider, key, actor))


@router.post("/{key}/enable")
def enable_connection(provider: Key, key: Key, services: Services, actor: Acting) -> ConnectionView:
    """The opposite of disable."""
    return ConnectionView.of(services.lifecycle.enable(provider, key, actor))


@router.post("/{key}/disconnect")
def disconnect(provider: Key, key: Key, services: Services, actor: Acting) -> ConnectionOff:
    """Forget its tokens and revoke them at the provider; links and history wait for a reconnect."""
    return ConnectionOff.of(services.lifecycle.disconnect(provider, key, actor))


@router.get("/{key}/deletion")
def deletion(provider: Key, key: Key, services: Services) -> Deletion:
    """What deleting it would lose, in numbers and words; nothing is changed."""
    return Deletion.of(key, services.lifecycle.deletion(provider, key))


@router.delete("/{key}", responses=problems(409, 423))
def delete_connection(
    provider: Key,
    key: Key,
    services: Services,
    actor: Acting,
    confirm: Annotated[str | None, Query(max_length=40)] = None,
) -> Deleted:
    """Needs `?confirm=<key>`; refused while a run works."""
    held, withdrawn = services.lifecycle.delete(provider, key, confirm=confirm, actor=actor)
    return Deleted(
        deletion=Deletion.of(key, held),
        at_provider=withdrawn.at_provider,
        warning=withdrawn.warning,
    )
