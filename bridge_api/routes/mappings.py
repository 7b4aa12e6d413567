"""The mapping of a connection's object, and the records that it could not take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from bridge_api.deps import Acting, ConnectionQuery, Key, Services
from bridge_api.etag import IfMatch, expected_revision, set_etag
from bridge_api.models.mappings import (
    MappingBody,
    MappingDiffView,
    MappingView,
    Preview,
    PreviewBody,
    QuarantinePage,
)
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from integrations_hub.catalog import mapping_form

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/{provider}/{object}",
    tags=["mappings"],
    responses=problems(401, 403, 404, 422, 503),
)


@router.get("/mapping")
def get_mapping(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    response: Response,
    connection: ConnectionQuery = None,
) -> MappingView:
    """The mapping that runs use, and whether it is out of date."""
    state = services.mappings.get(provider, object, connection)
    set_etag(response, state.revision)
    obj = services.registry.get_object_catalog(provider, object)
    return MappingView.of(state, mapping_form.schema(obj))


@router.put("/mapping", responses=problems(409))
def save_mapping(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: MappingBody,
    services: Services,
    actor: Acting,
    response: Response,
    connection: ConnectionQuery = None,
    if_match: IfMatch = None,
) -> MappingView:
    """The next version. Records already loaded change with the next run that reads them, or a remap."""
    state = services.mappings.save(
        provider,
        object,
        connection,
        lines=body.lines,
        expected_revision=expected_revision(if_match),
        actor=actor,
    )
    set_etag(response, state.revision)
    obj = services.registry.get_object_catalog(provider, object)
    return MappingView.of(state, mapping_form.schema(obj))


@router.get("/mapping/diff")
def diff_mapping(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    connection: ConnectionQuery = None,
) -> MappingDiffView:
    """What happened to the provider's fields since the mapping was saved, and a proposed repair."""
    return MappingDiffView.of(services.mappings.diff(provider, object, connection))


@router.post("/mapping/preview")
def preview_mapping(
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    body: PreviewBody,
    services: Services,
    connection: ConnectionQuery = None,
) -> Preview:
    """One record before and after; nothing is stored and nobody is asked."""
    lines = services.mappings.preview(
        provider,
        object,
        connection,
        lines=body.lines,
        record=body.record,
        external_id=body.external_id,
    )
    return Preview.of(lines)


@router.get("/quarantine")
def list_quarantine(
    *,
    provider: Key,
    object: Key,  # noqa: A002 - the path's word
    services: Services,
    connection: ConnectionQuery = None,
    resolved: bool = False,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> QuarantinePage:
    """Records that wait (or have left), newest first: where and why, never a value."""
    services.registry.get_object_catalog(provider, object)
    found = services.quarantine.list(
        connection_id=services.connections.pick(provider, connection).id,
        object_key=object,
        resolved=resolved,
        before_id=before,
        limit=limit,
    )
    return QuarantinePage.of(found, limit)
