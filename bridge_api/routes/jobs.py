"""Jobs: ask for a run, look at runs, cancel one."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.models.jobs import (
    ChangeAction,
    ChangePage,
    ChangeView,
    Job,
    JobDetail,
    JobPage,
    JobState,
    RunNow,
)
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute

router = APIRouter(route_class=HubRoute, tags=["jobs"], responses=problems(401, 403, 404, 422, 503))

_BIGGEST_ID = 2**63 - 1
JobId = Annotated[int, Path(ge=1, le=_BIGGEST_ID)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]+$",
        max_length=200,
        description="The same key with the same request gives the same run.",
    ),
]


@router.post(
    "/api/integrations/{provider}/{object}/run", status_code=202, responses=problems(409, 423)
)
def run_now(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: RunNow,
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Ask for a run; Airflow starts it. A disabled rule may be tried with dry_run only."""
    run = services.runs.run_now(
        provider,
        object,
        connection,
        ask=body.ask(),
        idempotency_key=idempotency_key,
        actor=actor,
    )
    return Job.of(run)


@router.get("/api/integrations/{provider}/jobs")
def list_jobs(
    *,
    provider: Key,
    services: Services,
    connection: ConnectionQuery = None,
    object: Annotated[str | None, Query(pattern="^[a-z0-9_]+$", max_length=40)] = None,  # noqa: A002
    status: JobState | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Asked for then or later.")] = None,
    before: Annotated[int | None, Query(ge=1, le=_BIGGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Newest first; without `connection` of every connection of the provider."""
    found = services.connections.get(provider, connection) if connection else None
    page = services.runs.list(
        services.registry.get_provider(provider).key,
        object_key=object,
        connection_id=found.id if found else None,
        state=status,
        since=since,
        before_id=before,
        limit=limit,
    )
    return JobPage(
        items=[Job.of(run) for run in page],
        next_before=page[-1].id if len(page) == limit else None,
    )


@router.post("/api/jobs/{id}/retry", status_code=202, responses=problems(409))
def retry_job(
    id: JobId,  # noqa: A002 - the path's word
    services: Services,
    actor: Acting,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Ask for an ended run once more in the same way; the new run names it in `retry_of`."""
    return Job.of(services.runs.retry(id, idempotency_key=idempotency_key, actor=actor))


@router.get("/api/jobs/{id}")
def get_job(id: JobId, services: Services) -> JobDetail:  # noqa: A002 - the path's word
    """One run with its counts and progress, and what went wrong."""
    run = services.runs.get(id)
    return JobDetail.with_progress(run, services.runs.progress(run))


@router.get("/api/jobs/{id}/changes")
def list_changes(
    id: JobId,  # noqa: A002 - the path's word
    services: Services,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    action: ChangeAction | None = None,
) -> ChangePage:
    """The run's plan of changes, field by field; of a dry run the same as of a run that writes."""
    found = services.changes.page(id, after=after, limit=limit, action=action)
    return ChangePage(
        items=[ChangeView(**one) for one in found],
        next_after=found[-1]["seq"] if len(found) == limit else None,
    )


@router.get(
    "/api/jobs/{id}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def download_job(id: JobId, services: Services) -> StreamingResponse:  # noqa: A002 - the path's word
    """The run's outcomes as NDJSON: the run, its changes, its rejects; no values with personal data."""
    lines = services.changes.download(id)
    return StreamingResponse(
        (json.dumps(line, default=str, ensure_ascii=False) + "\n" for line in lines),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="run-{id}.ndjson"'},
    )


@router.post("/api/jobs/{id}/cancel", responses=problems(409))
def cancel_job(id: JobId, services: Services, actor: Acting) -> Job:  # noqa: A002 - the path's word
    """End the Dag run; a running stage is stopped within seconds, and its finish closes the run."""
    return Job.of(services.runs.cancel(id, actor=actor))
