"""Liveness for anyone, health for admins."""

from __future__ import annotations

from fastapi import APIRouter, Request

from bridge_api.deps import Acting, Services, bridge
from bridge_api.models.health import AirflowHealth, BrokenRule, Health, Housekeeping, Liveness
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from bridge_api.security import LIVENESS
from integrations_hub.admin import maintenance
from integrations_hub.errors import DatabaseUnavailable, DatabaseUnusable, HubError
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.ports.records import Heartbeat

router = APIRouter(route_class=HubRoute, tags=["health"])

_BROKEN = "dag_broken:"
_LATE_S = 15 * 60  # housekeeping runs every five minutes
_NEEDED = ("metadatabase", "scheduler", "dag_processor")


@router.get(LIVENESS)
async def liveness() -> Liveness:
    """The process answers. No data, no database."""
    return Liveness()


@router.get("/api/integrations/health", responses=problems(401, 403, 503))
def health(request: Request, services: Services, actor: Acting) -> Health:
    """The Hub's parts and Airflow's; always 200, the answer says what is wrong."""
    try:
        beats, database = services.heartbeats.read_all(), "ok"
    except (DatabaseUnavailable, DatabaseUnusable) as error:
        beats, database = [], error.message
    own = bridge(request)
    housekeeping, broken, airflow = _housekeeping(beats), _broken(beats), _airflow(actor.airflow)
    why = maintenance.reason(own.settings.environ)
    fine = database == "ok" and housekeeping.ok and airflow.ok and not broken
    return Health(
        status="maintenance" if why is not None else "ok" if fine else "degraded",
        maintenance=why,
        database=database,
        housekeeping=housekeeping,
        broken_rules=broken,
        airflow=airflow,
    )


def _housekeeping(beats: list[Heartbeat]) -> Housekeeping:
    for beat in beats:
        if beat.name == "housekeeping":
            return Housekeeping(ok=beat.age_s < _LATE_S, age_s=beat.age_s, detail=beat.detail)
    return Housekeeping(ok=False, age_s=None, detail={})


def _broken(beats: list[Heartbeat]) -> list[BrokenRule]:
    return [
        BrokenRule(
            rule_id=int(beat.name.removeprefix(_BROKEN)),
            error=str(beat.detail.get("error", "")),
            since=beat.at,
        )
        for beat in beats
        if beat.name.startswith(_BROKEN)
    ]


def _airflow(client: AirflowClient) -> AirflowHealth:
    try:
        told = client.health()
    except HubError as error:
        return AirflowHealth(ok=False, parts={}, problem=error.message)
    parts = {name: (part or {}).get("status") for name, part in told.items()}
    return AirflowHealth(ok=all(parts.get(name) == "healthy" for name in _NEEDED), parts=parts)
