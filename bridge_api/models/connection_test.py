"""What a connection test found."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from integrations_hub.domain.connection_test import Report


class CheckView(BaseModel):
    """`status`: pass | warn | fail | skipped; `remedy`: what a person does, null when nothing."""

    key: str
    label: str
    status: str
    ms: int
    detail: str
    remedy: str | None


class ConnectionTestReport(BaseModel):
    """`overall`: pass | warn | fail | not_tested (the access or the list was never tried)."""

    connection: str
    overall: str
    tested_at: datetime
    checks: list[CheckView]

    @classmethod
    def of(cls, report: Report) -> ConnectionTestReport:
        """The checks in the order in which a request meets them."""
        return cls(
            connection=report.connection.key,
            overall=report.overall,
            tested_at=report.tested_at,
            checks=[
                CheckView(key=each.key, label=each.label, ms=each.ms, **vars(each.outcome))
                for each in report.checks
            ],
        )
