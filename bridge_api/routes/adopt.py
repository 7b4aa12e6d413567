"""The decision about a connection whose tokens another Hub holds (a copied or restored database)."""

from __future__ import annotations

from fastapi import APIRouter

from bridge_api.deps import Acting, Key, Services
from bridge_api.models.connections import ConnectionView
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/connections/{key}",
    tags=["connections"],
    responses=problems(401, 403, 404, 422, 503),
)


@router.post("/adopt")
def adopt_connection(provider: Key, key: Key, services: Services, actor: Acting) -> ConnectionView:
    """This Hub spends the connection's tokens from now on: the other one must be off for good."""
    adopted = services.adoption().adopt(
        provider, key, actor=actor.name, request_id=actor.request_id
    )
    return ConnectionView.of(adopted)
