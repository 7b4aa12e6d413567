"""What a stage writes about a listing as a whole: what it does not hold, and what it proves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from integrations_hub.store.database import Connection
from integrations_hub.store.statements import load

_q = load("absence")
_SHOWN_IDS = 20  # of a verdict; the counts are whole


class Completeness:
    """Part of one fenced transaction. `names`: run, fence, provider, object and connection."""

    def __init__(self, tx: Connection, names: Mapping[str, Any]) -> None:
        self._tx, self._names = tx, names

    def list_absent(self, *, listed: int, max_rows: int, max_percent: float) -> dict[str, int]:
        """Stage linked records in scope that were not listed; returns linked, absent and too_many."""
        self._over_staging()
        limits = {"listed": listed, "max_rows": max_rows, "max_percent": max_percent}
        row = self._execute(_q.list_absent, **limits).fetchone()
        return {name: int(row[name]) for name in ("linked", "absent", "too_many")}

    def save_presence(self, external_id: str, verdict: str) -> None:
        """What the look-up of one record said."""
        self._execute(_q.save_presence, external_id=external_id, verdict=verdict)

    def save_unproven(self) -> None:
        """Look-ups by id cannot be trusted: what is still to be asked stays undecided."""
        self._execute(_q.save_unproven)

    def judge(self, *, every_record: bool) -> dict[str, Any]:
        """Compare the listing with the links now, store and return the verdict."""
        self._over_staging()
        row = self._execute(_q.compare, every_record=every_record, shown=_SHOWN_IDS).fetchone()
        verdict = {
            "state": "incomplete" if row["missing"] or row["extra"] else "complete",
            "listed": row["listed"],
            "missing": {"count": row["missing"], "ids": row["missing_ids"]},
            "extra": {"count": row["extra"], "ids": row["extra_ids"]},
        }
        self.save_verdict(verdict)
        return verdict

    def save_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Store the run's verdict."""
        self._execute(_q.save_verdict, verdict=json.dumps(verdict, default=str, ensure_ascii=False))

    def count_absent(self) -> None:
        """Missing counts of links: up for the absent, back to 0 for the listed."""
        self._over_staging()
        self._execute(_q.count_missing)
        self._execute(_q.count_listed)

    def _execute(self, sql: str, **params: Any) -> Any:
        return self._tx.execute(sql, {**self._names, **params})

    def _over_staging(self) -> None:
        """For statements that compare whole listings.

        What PostgreSQL knows of staging may be from before this run: it would take a nested loop over
        a hundred thousand records for one over a single one.
        """
        self._tx.execute("SET LOCAL enable_nestloop = off; SET LOCAL statement_timeout = '10min'")
