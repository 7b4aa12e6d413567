"""How the Hub is: its own parts and Airflow's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Liveness(BaseModel):
    """The process answers; nothing else is said."""

    status: str = "ok"


class BrokenRule(BaseModel):
    """A rule whose Dag could not be built at the last parse."""

    rule_id: int
    error: str
    since: datetime


class Housekeeping(BaseModel):
    """`age_s` since its last beat; null when it never ran."""

    ok: bool
    age_s: float | None
    detail: dict[str, Any]


class AirflowHealth(BaseModel):
    """`parts`: status by part (scheduler, dag_processor, ...); `problem` when Airflow did not answer."""

    ok: bool
    parts: dict[str, str | None]
    problem: str | None = None


class Health(BaseModel):
    """`status`: maintenance (`maintenance` says why), ok, or degraded when any part is not."""

    status: str
    maintenance: str | None
    database: str
    housekeeping: Housekeeping
    broken_rules: list[BrokenRule]
    airflow: AirflowHealth
