"""Connections: list, create, status."""

from __future__ import annotations

from fastapi import APIRouter

from bridge_api.deps import Acting, Key, Services
from bridge_api.models.connections import ConnectionList, ConnectionView, NewConnection
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
    )
    return ConnectionView.of(made)


@router.get("/{key}")
def get_connection(provider: Key, key: Key, services: Services) -> ConnectionView:
    """State, reason, since when, and what to do next."""
    return ConnectionView.of(services.connections.get(provider, key))
