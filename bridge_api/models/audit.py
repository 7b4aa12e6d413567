"""The audit log: entries and the check of their chain."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from integrations_hub.domain.audit import AuditEntry, AuditVerdict


class AuditEntryView(BaseModel):
    """Who did what to what; `hash` covers the entry and `prev`, the hash of the entry before."""

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, Any]
    request_id: str | None
    prev: str
    hash: str


class AuditPage(BaseModel):
    """Newest first. `next_before`: what to send as `before` for the next page; null on the last."""

    items: list[AuditEntryView]
    next_before: int | None

    @staticmethod
    def of(entries: list[AuditEntry], limit: int) -> AuditPage:
        """Less than `limit` entries are the last page."""
        return AuditPage(
            items=[AuditEntryView(**asdict(entry)) for entry in entries],
            next_before=entries[-1].seq if len(entries) == limit else None,
        )


class AuditProblemView(BaseModel):
    """What is wrong, and from which entry on."""

    kind: Literal["edited", "missing", "replaced", "tail_dropped", "rewritten"]
    seq: int
    text: str


class AuditHeadView(BaseModel):
    """The last entry as the chain remembers it."""

    seq: int
    hash: str


class AuditVerdictView(BaseModel):
    """Sound when there is no problem; at most 100 are told."""

    sound: bool
    entries: int
    head: AuditHeadView
    problems: list[AuditProblemView] = Field(max_length=100)

    @staticmethod
    def of(verdict: AuditVerdict) -> AuditVerdictView:
        """As the chain was found."""
        return AuditVerdictView.model_validate(verdict.as_dict())
