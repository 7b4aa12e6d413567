"""Plans of changes: how they stand, and what people answered."""

from __future__ import annotations

from collections.abc import Sequence

from integrations_hub.domain.proposal import Proposal
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.store.audit import record
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("plans")
_NOBODY = 0


class PostgresPlanStore:
    """Fulfils ports.PlanStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def proposal(self, run_id: int, *, by_run: int | None = None) -> Proposal:
        """Raises NotFound."""
        row = self._database.row(_q.proposal, {"run_id": run_id, "by_run": by_run or _NOBODY})
        if row is None:
            raise NotFound(f"There is no run {run_id}.")
        seqs = row["approved_seqs"]
        return Proposal(
            whole=row["whole"],
            changes=int(row["changes"]),
            applied_seq=int(row["applied_seq"]),
            applied_by=row["applied_by"],
            answered=int(row["answered"]),
            superseded_by=row["superseded_by"],
            approved_seqs=None if seqs is None else tuple(seqs),
        )

    def answer(
        self, run_id: int, seqs: Sequence[int] | None, *, actor: str, request_id: str | None
    ) -> None:
        """Keep the first answer with its audit entry; raises for another one."""
        chosen = None if seqs is None else sorted(set(seqs))
        values = {"run_id": run_id, "seqs": chosen, "actor": actor}
        with self._database.transaction() as tx:
            unknown = [row["seq"] for row in tx.execute(_q.unknown_seqs, values)] if chosen else []
            if unknown:
                raise NotFound(
                    f"The plan of run {run_id} has no change {', '.join(map(str, unknown))} to approve.",
                    hint="Choose numbers of changes that the plan lists and that need no review.",
                    code="CHANGE_UNKNOWN",
                )
            if tx.execute(_q.answer, values).rowcount:
                detail = {"run_id": run_id, "changes": "all" if chosen is None else len(chosen)}
                record(
                    tx, actor=actor, action="plan.approved", target=f"run:{run_id}", detail=detail, request_id=request_id
                )  # fmt: skip
                return
            kept = tx.execute(_q.get_answer, values).fetchone()
            if kept is not None and kept["seqs"] != chosen:
                raise ConflictingChange(
                    f"The plan of run {run_id} was approved by {kept['answered_by']} with another selection.",
                    hint="Let the rule run once more: it makes a new plan.",
                    code="PLAN_ANSWERED",
                )
