"""What the person who asks may expect of the Hub."""

from __future__ import annotations

from fastapi import APIRouter, Request

from bridge_api.deps import bridge
from bridge_api.models.capabilities import Capabilities, Integrations
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from integrations_hub import wiring

router = APIRouter(route_class=HubRoute, tags=["capabilities"])


@router.get("/api/capabilities/", responses=problems(401, 503))
def capabilities(request: Request) -> Capabilities:
    """Anybody signed in may ask; a non-admin learns that it is not for them, and nothing else."""
    if not request.state.hub_admin:
        return Capabilities(integrations=Integrations(enabled=False, reason="admins only"))
    if not bridge(request).settings.enabled:
        return Capabilities(integrations=Integrations(enabled=False, reason="switched off"))
    keys = [provider.key for provider in wiring.registry().list_providers()]
    return Capabilities(integrations=Integrations(enabled=True, providers=keys))
