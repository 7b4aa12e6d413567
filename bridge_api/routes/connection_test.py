"""The connection test."""

from __future__ import annotations

from fastapi import APIRouter

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.models.connection_test import ConnectionTestReport
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}",
    tags=["connections"],
    responses=problems(401, 403, 404, 422, 429, 503),
)


@router.get("/test")
def check_connection(
    provider: Key, services: Services, actor: Acting, connection: ConnectionQuery = None
) -> ConnectionTestReport:
    """Named checks from the name of the host to one record; six a minute. Works in maintenance."""
    return ConnectionTestReport.of(services.connection_test.run(provider, connection, actor))
