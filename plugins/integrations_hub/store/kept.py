"""What a stage writes to use again what earlier runs read: a whole listing, or quarantined records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations_hub.store.database import Connection
from integrations_hub.store.statements import load

_q = load("kept")


class KeptPages:
    """Part of one fenced transaction. `names`: run, fence, provider, object and connection."""

    def __init__(self, tx: Connection, names: Mapping[str, Any]) -> None:
        self._tx, self._names = tx, names

    def stage(self, runs: Sequence[int]) -> None:
        """What these runs read becomes what this run has read."""
        self._tx.execute("SET LOCAL statement_timeout = '10min'")
        for statement in (_q.stage_bodies, _q.stage_pages):
            self._run(statement, kept=list(runs))

    def stage_due(self, mapping: str, sources: Sequence[str]) -> int:
        """Kept versions of quarantined records that another mapping rejected; how many."""
        after = self._run(_q.last_page).fetchone()["n"]
        made = self._run(_q.due_records, after=after, mapping=mapping, sources=list(sources))
        if made.rowcount:
            for statement in (_q.stage_due_bodies, _q.stage_due_pages):
                self._run(statement)
        return int(made.rowcount)

    def _run(self, sql: str, **params: Any) -> Any:
        return self._tx.execute(sql, {**self._names, **params})
