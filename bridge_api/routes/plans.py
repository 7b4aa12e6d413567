"""Plans of changes: approve one, take a run back."""

from __future__ import annotations

from fastapi import APIRouter

from bridge_api.deps import Acting, Services
from bridge_api.models.jobs import Job
from bridge_api.models.plans import Approval, Undo
from bridge_api.models.problems import problems
from bridge_api.routes.jobs import JobId
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/jobs/{id}",
    tags=["plans"],
    responses=problems(401, 403, 404, 409, 422, 503),
)


@router.post("/approve", status_code=202)
def approve_plan(id: JobId, body: Approval, services: Services, actor: Acting) -> Job:  # noqa: A002 - the path's word
    """Apply this plan as it stands, or the chosen rows of it; what moved since is drifted, never overwritten."""
    return Job.of(services.plans.approve(id, body.changes, actor=actor))


@router.post("/undo", status_code=202)
def undo_run(id: JobId, body: Undo, services: Services, actor: Acting) -> Job:  # noqa: A002 - the path's word
    """Restore what this run changed and nobody touched since; `dry_run` lists it first."""
    return Job.of(services.plans.undo(id, dry_run=body.dry_run, actor=actor))
