"""The state of a connection's object: read, preview a change, change, ask for a resync."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.etag import revision_of, set_etag
from bridge_api.models.problems import problems
from bridge_api.models.state import EditState, PreviewView, ResyncJobs, ResyncRequest, StateView
from bridge_api.routes.jobs import IdempotencyKey
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/{object}",
    tags=["state"],
    responses=problems(401, 403, 404, 422, 503),
)

IfMatch = Annotated[
    str, Header(description='The ETag that was looked at, e.g. "3"; "0" while there is no state.')
]


@router.get("/state")
def get_state(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    response: Response,
    connection: ConnectionQuery = None,
) -> StateView:
    """Mark, generation, sweeps and verdict; its ETag is the revision, "0" before the first run."""
    rule = services.rules.get(provider, object, connection)
    view = StateView.of(services.states.get(rule))
    set_etag(response, view.revision)
    return view


@router.put("/state", responses=problems(409, 423))
def edit_state(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: EditState,
    services: Services,
    actor: Acting,
    response: Response,
    if_match: IfMatch,
    connection: ConnectionQuery = None,
) -> StateView:
    """Set the mark. 423 while a run works, 409 when the state has moved since it was looked at."""
    rule = services.rules.get(provider, object, connection)
    services.states.edit(
        rule, mark=body.naive(), expected_revision=revision_of(if_match), actor=actor
    )
    view = StateView.of(services.states.get(rule))
    set_etag(response, view.revision)
    return view


@router.post("/state/preview", responses=problems(409))
def preview_state(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: EditState,
    services: Services,
    connection: ConnectionQuery = None,
) -> PreviewView:
    """What the next run would read with this mark; nothing is changed."""
    rule = services.rules.get(provider, object, connection)
    return PreviewView.of(services.states.preview(rule, body.naive()))


@router.post("/resync", status_code=202, responses=problems(409))
def request_resync(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: ResyncRequest,
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
    idempotency_key: IdempotencyKey = None,
) -> ResyncJobs:
    """Read again what changed since an instant, or everything; done when a sweep has proved it."""
    rule = services.rules.get(provider, object, connection)
    jobs = services.runs.resync(
        rule, since=body.utc(), idempotency_key=idempotency_key, actor=actor
    )
    return ResyncJobs.of(jobs)
