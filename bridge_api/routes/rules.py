"""The rule of a connection's object: read, save, enable, disable."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.etag import IfMatch, expected_revision, set_etag
from bridge_api.models.problems import problems
from bridge_api.models.rules import (
    EnableRule,
    NextRuns,
    Revision,
    RevisionPage,
    RuleBody,
    RuleView,
)
from bridge_api.routing import HubRoute

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/{object}/rule",
    tags=["rules"],
    responses=problems(401, 403, 404, 422, 503),
)

Reread = Annotated[
    bool | None,
    Query(
        description="Whether a change of behaviour reads everything again; asked for where it matters."
    ),
]
_BIGGEST_REVISION = 2**31 - 2
IfNoneMatch = Annotated[str | None, Header(description="* = only when there is no rule yet.")]


async def made_from(if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> int | None:
    """The revision that the change was made from; 0 = none yet, None = any."""
    if if_none_match is not None and if_none_match.strip() == "*":
        return 0
    return expected_revision(if_match)


Expected = Annotated[int | None, Depends(made_from)]


@router.get("")
def get_rule(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    response: Response,
    connection: ConnectionQuery = None,
) -> RuleView:
    """The rule as it stands; its ETag is the revision."""
    rule = services.rules.get(provider, object, connection)
    set_etag(response, rule.revision)
    return RuleView.of(rule)


@router.put("", responses=problems(409))
def save_rule(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: RuleBody,
    services: Services,
    actor: Acting,
    response: Response,
    connection: ConnectionQuery = None,
    expected: Expected,
    reread: Reread = None,
) -> RuleView:
    """The next revision; of an enabled rule the answer comes when Airflow shows it (10 s at most).

    409 REVISION_CONFLICT tells what is different now; 409 REREAD_DECISION asks for `reread`, with reasons
    and forecast.
    """
    saved = services.rules.save(
        provider,
        object,
        connection,
        body=body.root,
        expected_revision=expected,
        reread=reread,
        actor=actor,
    )
    set_etag(response, saved.rule.revision)
    return RuleView.saved(saved)


@router.get("/revisions")
def list_revisions(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    connection: ConnectionQuery = None,
    before: Annotated[int | None, Query(ge=1, le=_BIGGEST_REVISION)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RevisionPage:
    """Every save, newest first, with what it changed. To go back, PUT the old body."""
    rule = services.rules.get(provider, object, connection)
    found = services.rules.revisions(rule, before=before, limit=limit)
    return RevisionPage(
        items=[Revision.of(one, diff) for one, diff in found],
        next_before=found[-1][0].revision if len(found) == limit else None,
    )


@router.get("/revisions/{revision}")
def get_revision(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    revision: Annotated[int, Path(ge=1, le=_BIGGEST_REVISION)],
    services: Services,
    connection: ConnectionQuery = None,
) -> Revision:
    """One save."""
    rule = services.rules.get(provider, object, connection)
    return Revision.of(*services.rules.revision(rule, revision))


@router.get("/next")
def get_next_runs(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
    count: Annotated[int, Query(ge=1, le=50)] = 5,
) -> NextRuns:
    """The exact next runs, jitter included, and what Airflow has noted."""
    rule = services.rules.get(provider, object, connection)
    return NextRuns.of(services.rules.upcoming(rule, count, actor.airflow))


@router.post("/enable", responses=problems(409))
def enable_rule(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: EnableRule,
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
) -> RuleView:
    """Its Dag appears and runs by its schedule. 409 MATCHING_FIRST while local rows were never matched."""
    saved = services.rules.enable(
        provider, object, connection, nothing_to_match=body.nothing_to_match, actor=actor
    )
    return RuleView.saved(saved)


@router.post("/disable")
def disable_rule(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
) -> RuleView:
    """Pause the Dag, end its runs, switch the rule off."""
    return RuleView.saved(services.rules.disable(provider, object, connection, actor=actor))
