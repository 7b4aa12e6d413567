"""Local projects, read-only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bridge_api.deps import Services
from bridge_api.models.problems import problems
from bridge_api.models.projects import Project, ProjectPage
from bridge_api.routing import HubRoute

router = APIRouter(route_class=HubRoute, tags=["projects"], responses=problems(401, 403, 422, 503))


@router.get("/api/projects")
def list_projects(
    services: Services,
    status: Annotated[str | None, Query(pattern="^[a-z_]+$", max_length=40)] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ProjectPage:
    """By id. Inactive and deleted projects only on request: `status=inactive`, or `all`."""
    rows = list(services.projects.list(after_id=after, limit=limit, status=status))
    return ProjectPage(
        items=[Project.model_validate(row) for row in rows],
        next_after=rows[-1]["id"] if len(rows) == limit else None,
    )
