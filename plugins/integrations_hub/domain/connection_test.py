"""What a connection test found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from integrations_hub.domain.connection import Connection


@dataclass(frozen=True)
class Outcome:
    """`status`: pass | warn | fail | skipped; `remedy`: what a person does, None when nothing."""

    status: str
    detail: str
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """One named check and how long it took."""

    key: str
    label: str
    outcome: Outcome
    ms: int


@dataclass(frozen=True)
class Report:
    """`overall`: pass | warn | fail | not_tested."""

    connection: Connection
    overall: str
    tested_at: datetime
    checks: tuple[Check, ...]
