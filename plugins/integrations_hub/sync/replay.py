"""Runs that read nothing: the plan that a person approved, and a run that is taken back (rule 7 of a run)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from integrations_hub.domain.proposal import refuse_apply, refuse_undo
from integrations_hub.domain.run import Run
from integrations_hub.errors import PlanUnusable
from integrations_hub.ports.plans import PlanStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.stage import Stage

_MOVES_MARK = ("full", "incremental", "sweep")


@dataclass(frozen=True)
class Replay:
    """`generation`: of the rule now."""

    plans: PlanStore
    run_of: Callable[[int], Run]

    def pinned(self, run: Run, *, generation: int) -> Pinned | None:
        """What a run with `apply_run_id` or `undo_run_id` pins: the other run's plan; None for other runs.

        An undo may be a dry run; what was approved is written, whatever the rule says of dry runs.

        Raises PlanUnusable that says why the plan cannot be applied or the run not taken back.
        """
        applies, undoes = run.params.get("apply_run_id"), run.params.get("undo_run_id")
        stored = undoes if applies is None else applies
        if stored is None:
            return None
        source = self.run_of(int(stored))
        proposal = self.plans.proposal(source.id, by_run=run.id)
        _same_object(run, source)
        if applies is not None:
            refuse_apply(source, proposal, generation)
        else:
            refuse_undo(source, proposal)
        return replace(
            Pinned.of(source),
            listing="stored",
            since=None,
            until=None,
            dry_run=applies is None and bool(run.params.get("dry_run")),
            generation=generation,
            apply_run_id=source.id if applies is not None else None,
            undo_run_id=source.id if applies is None else None,
        )

    def plan_changes(self, stage: Stage, pinned: Pinned) -> dict[str, int]:
        """Write this run's change set from the other run's; rows per action or `adopted`."""
        with stage.write() as tx:
            replays = tx.replays(pinned.local_entity)
            tx.drop_changes()
            if pinned.undo_run_id is not None:
                counts = replays.take_back(pinned.undo_run_id, pinned.columns)
                kept = counts.get("review", 0)
                tx.save_plan(unchanged=0, rejected=0, review=kept, skipped=0)
                return counts
            source = self.run_of(int(pinned.apply_run_id or 0))
            proposal = self.plans.proposal(source.id, by_run=stage.run.id)
            adopted = replays.adopt(
                source.id,
                seqs=proposal.approved_seqs,
                mark_from=source.mark_from,
                mark_to=source.mark_to,
                moves_mark=Pinned.of(source).listing in _MOVES_MARK,
            )
            return {"adopted": adopted}


def _same_object(run: Run, source: Run) -> None:
    if source.lease_key != run.lease_key:
        raise PlanUnusable(
            f"Run {source.id} is one of {source.lease_key}, not of {run.lease_key}.",
            hint="Choose a run of this connection and object.",
        )
