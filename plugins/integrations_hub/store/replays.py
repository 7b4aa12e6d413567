"""What a stage writes to replay what is stored: a plan that was approved, or a run that is taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from integrations_hub.domain.blast_radius import BlastRadius
from integrations_hub.store.database import Connection
from integrations_hub.store.statements import load

_q = load("plans")


class Replays:
    """Part of one fenced transaction. `names`: run, fence, provider, object and connection."""

    def __init__(self, tx: Connection, names: Mapping[str, Any], entity: SimpleNamespace) -> None:
        self._tx, self._names, self._entity = tx, names, entity

    def blast_radius(self, counts: Mapping[str, int]) -> BlastRadius:
        """What the change set that was just saved (`counts` per action) would touch."""
        updates = counts.get("update", 0) + counts.get("revive", 0)
        return BlastRadius(
            created=counts.get("create", 0),
            changed=updates + counts.get("link", 0) + counts.get("out_of_scope", 0),
            inactivated=counts.get("inactivate", 0),
            count_linked=lambda: self._count(_q.linked),
            count_nulled=lambda: self._count(_q.nulled) if updates else 0,
        )

    def adopt(
        self,
        plan_run_id: int,
        *,
        seqs: Sequence[int] | None,
        mark_from: datetime | None,
        mark_to: datetime | None,
        moves_mark: bool,
    ) -> int:
        """The approved rows of another run's plan (None: all) become this run's; returns how many."""
        chosen = None if seqs is None else list(seqs)
        adopted = self._run(_q.adopt_changes, plan_run_id=plan_run_id, seqs=chosen).rowcount
        if chosen is None:
            self._run(_q.approve_missing, plan_run_id=plan_run_id)
        note = {"mapped": True, "moves_mark": moves_mark and chosen is None}
        self._run(_q.note_adopted, mark_from=mark_from, mark_to=mark_to, listing=json.dumps(note))
        return int(adopted)

    def take_back(self, undone_run_id: int, columns: Sequence[str]) -> dict[str, int]:
        """What restores the rows of another run, from its journal and the rows now; rows per action."""
        rows = self._run(
            self._entity.plan_undo, undone_run_id=undone_run_id, columns=list(columns)
        ).fetchall()
        self._run(_q.note_adopted, mark_from=None, mark_to=None, listing='{"mapped": true}')
        return {row["action"]: int(row["n"]) for row in rows}

    def left_over(self) -> dict[str, int]:
        """Rows of the change set that were not applied: drifted and refused."""
        return dict(self._run(_q.left_over).fetchone())

    def move_mark_from(
        self, mark: datetime | None, generation: int, *, mark_from: datetime | None
    ) -> None:
        """Move the mark if it is still where the plan started."""
        self._run(_q.move_mark_from, mark=mark, generation=generation, mark_from=mark_from)

    def _count(self, sql: str) -> int:
        return int(self._run(sql).fetchone()["n"])

    def _run(self, sql: str, **params: Any) -> Any:
        return self._tx.execute(sql, {**self._names, **params})
