"""The rule of a connection's object: read, save, enable, disable."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.models.problems import problems
from bridge_api.models.rules import EnableRule, RuleBody, RuleView
from bridge_api.routing import HubRoute
from integrations_hub.errors import ConflictingChange

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/{object}/rule",
    tags=["rules"],
    responses=problems(401, 403, 404, 422, 503),
)

IfMatch = Annotated[str | None, Header(description='The ETag that was read, e.g. "3".')]
IfNoneMatch = Annotated[str | None, Header(description="* = only when there is no rule yet.")]


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
    response.headers["ETag"] = f'"{rule.revision}"'
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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> RuleView:
    """The next revision; of an enabled rule the answer comes when Airflow shows it (10 s at most)."""
    saved = services.rules.save(
        provider,
        object,
        connection,
        body=body.root,
        expected_revision=_expected(if_match, if_none_match),
        actor=actor,
    )
    response.headers["ETag"] = f'"{saved.rule.revision}"'
    return RuleView.saved(saved)


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


def _expected(if_match: str | None, if_none_match: str | None) -> int | None:
    """The revision that the change was made from; 0 = none yet, None = any."""
    if if_none_match is not None and if_none_match.strip() == "*":
        return 0
    if if_match is None or if_match.strip() == "*":
        return None
    revision = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', if_match.strip())
    if revision is None:
        raise ConflictingChange("If-Match names no revision of a rule.", code="REVISION_CONFLICT")
    return int(revision.group(1))
