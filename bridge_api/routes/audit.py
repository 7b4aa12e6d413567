"""The audit log: who did what, and whether the log is as it was written."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bridge_api.deps import Services
from bridge_api.models.audit import AuditPage, AuditVerdictView
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from integrations_hub.domain.audit import AuditHead

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations/audit",
    tags=["audit"],
    responses=problems(401, 403, 422, 503),
)

_BIGGEST = 2**63 - 1
Word = Annotated[str | None, Query(max_length=200)]


@router.get("")
def list_audit(
    *,
    services: Services,
    actor: Word = None,
    action: Annotated[str | None, Query(pattern=r"^[a-z_.]+$", max_length=80)] = None,
    target: Word = None,
    before: Annotated[int | None, Query(ge=1, le=_BIGGEST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AuditPage:
    """Newest first; each filter is an exact value."""
    found = services.audit.page(
        before=before, limit=limit, actor=actor, action=action, target=target
    )
    return AuditPage.of(found, limit)


@router.get("/verify")
def verify_audit(
    services: Services,
    noted: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{1,18}:[0-9a-f]{64}$",
            description="A head from a log line `audit_head`, as <seq>:<hash>: it must still stand.",
        ),
    ] = None,
) -> AuditVerdictView:
    """Reads the whole chain: edited, missing and replaced entries, a dropped end."""
    return AuditVerdictView.of(services.audit.verify(AuditHead.read(noted) if noted else None))
