"""What the housekeeping Dag and the parser write: ends of silent runs, purges, heartbeats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.audit import AuditHead
from integrations_hub.errors import SettingInvalid
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_LONGEST_DAYS = 3650
_BROKEN = "dag_broken:"


@dataclass(frozen=True)
class Retention:
    """Days that records stay at hand for a changed mapping (0 = not at all), and changes for undo and why."""

    payload_days: int = 30
    journal_days: int = 90

    @staticmethod
    def of(environ: Mapping[str, str]) -> Retention:
        """HUB_PAYLOAD_RETENTION_DAYS and HUB_JOURNAL_RETENTION_DAYS. Raises SettingInvalid."""
        return Retention(
            _days(environ, "HUB_PAYLOAD_RETENTION_DAYS", Retention.payload_days, least=0),
            _days(environ, "HUB_JOURNAL_RETENTION_DAYS", Retention.journal_days, least=1),
        )


def _days(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    said = environ.get(name, "").strip() or str(default)
    if not (said.isascii() and said.isdigit() and least <= int(said[:9]) <= _LONGEST_DAYS):
        raise SettingInvalid(
            f"{name} is not a number of days from {least} to {_LONGEST_DAYS}.",
            hint=f"Set it to whole days such as {default}, or leave it out.",
        )
    return int(said)


@dataclass(frozen=True)
class SilentRun:
    """An open run that shows no life here; whether its Dag run lives, Airflow knows."""

    id: int
    dag_id: str
    dag_run_id: str


class HousekeepingStore:
    """Every statement is safe to repeat and to run beside itself."""

    def __init__(
        self, database: Database, batch: int = 50_000, retention: Retention | None = None
    ) -> None:
        self._database = database
        self._batch = batch
        self._retention = retention or Retention()
        self._sql = load("housekeeping")

    def silent_runs(self) -> list[SilentRun]:
        """Open runs without a living lease, at least 15 minutes old."""
        return [SilentRun(**row) for row in self._database.rows(self._sql.silent_runs)]

    def close_lost(self, run_id: int) -> int:
        """End the run as lost and fence off whatever is left of it; 0 when it ended or lives meanwhile."""
        with self._database.transaction() as tx:
            if tx.execute(self._sql.close_lost, {"run_id": run_id}).rowcount == 0:
                return 0
            tx.execute(self._sql.free_lease, {"run_id": run_id})
            return 1

    def note_interrupted(self) -> int:
        """Show refreshes whose process died before it told the outcome."""
        return self._database.execute(self._sql.note_interrupted)

    def purge(self) -> dict[str, int]:
        """Delete what nobody reads any more; rows per kind."""
        spent = [
            row["id"]
            for row in self._database.rows(
                self._sql.spent_runs, {"days": self._retention.payload_days}
            )
        ]
        values = {"batch": self._batch, "runs": spent, "journal_days": self._retention.journal_days}
        return {
            name: self._purge(statement, values)
            for name, statement in (
                ("page_bodies", self._sql.purge_bodies),
                ("staged_pages", self._sql.purge_pages),
                ("changes", self._sql.purge_changes),
                ("oauth_flows", self._sql.purge_flows),
                ("requests_in_flight", self._sql.purge_inflight),
            )
        }

    def _purge(self, statement: str, values: Mapping[str, Any]) -> int:
        """Delete in batches: each is far from the session's statement timeout."""
        total = 0
        while True:
            deleted = self._database.execute(statement, dict(values))
            total += deleted
            if deleted < self._batch:
                return total

    def audit_head_to_tell(self) -> AuditHead | None:
        """The head of the audit chain when it was not told for an hour; None meanwhile."""
        row = self._database.row(self._sql.export_audit_head)
        return AuditHead(**row) if row else None

    def beat(self, name: str, detail: Mapping[str, Any]) -> None:
        """Show life: the row's `at` is now."""
        self._database.execute(self._sql.beat, {"name": name, "detail": json.dumps(dict(detail))})

    def report_broken(self, broken: Mapping[int, str]) -> None:
        """Rows `dag_broken:<rule id>` for exactly these rules; an unchanged row keeps its `at`."""
        errors = {f"{_BROKEN}{rule_id}": error for rule_id, error in broken.items()}
        rows = self._database.rows(self._sql.broken_now)
        known = {row["name"]: row["error"] for row in rows}
        if known == errors:
            return
        with self._database.transaction() as tx:
            tx.execute(self._sql.forget_broken, {"names": list(errors)})
            for name, error in errors.items():
                if known.get(name) != error:
                    tx.execute(
                        self._sql.beat, {"name": name, "detail": json.dumps({"error": error})}
                    )
