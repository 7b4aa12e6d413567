"""Local projects, read-only. `client` is the local client; the provider's name for it stands beside."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Project(BaseModel):
    """Names as in the product's own project API (camel case)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: int
    project_number: str | None
    name: str
    client: str | None
    status: str
    is_active: bool
    start_date: date | None
    end_date: date | None
    lead: str | None
    notes: str | None
    scope: str
    deleted_at: datetime | None
    bqe_client_name: str | None
    bqe_client_id: str | None
    client_sync_policy_state: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class ProjectPage(BaseModel):
    """By id. `next_after`: the `after` of the next page, null on the last one."""

    items: list[Project]
    next_after: int | None
