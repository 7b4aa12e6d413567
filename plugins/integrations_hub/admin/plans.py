"""What an admin does with plans of changes: approve one, all or in part; take a run back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from integrations_hub.admin.rules import Actor
from integrations_hub.admin.runs import Ask, Runs
from integrations_hub.domain.proposal import refuse_apply, refuse_undo
from integrations_hub.domain.run import Run
from integrations_hub.ports.plans import PlanStore


@dataclass(frozen=True)
class Plans:
    """Each answer starts one run; the same answer again gives the same run."""

    plans: PlanStore
    runs: Runs

    def approve(self, run_id: int, seqs: Sequence[int] | None, *, actor: Actor) -> Run:
        """Apply the plan of this run as it stands: the rows of `seqs`, None = all.

        Raises PlanUnusable that says why it cannot be applied any more, NotFound for rows it does not have,
        ConflictingChange when it was approved with another selection.
        """
        planned = self.runs.get(run_id)
        rule = self.runs.rules.get(planned.provider_key, planned.object_key, planned.connection_key)
        proposal = self.plans.proposal(run_id)
        if proposal.applied_by is None:
            refuse_apply(planned, proposal, rule.generation)
        self.plans.answer(run_id, seqs, actor=actor.name, request_id=actor.request_id)
        if proposal.applied_by is not None:
            return self.runs.get(proposal.applied_by)
        key = f"apply:{run_id}:{proposal.answered}"
        return self._ask(planned, Ask(apply_run_id=run_id), key, actor)

    def undo(self, run_id: int, *, dry_run: bool, actor: Actor) -> Run:
        """Restore what this run changed and nobody touched since; a dry run lists it first.

        Raises PlanUnusable that says why it cannot be taken back.
        """
        done = self.runs.get(run_id)
        proposal = self.plans.proposal(run_id)
        refuse_undo(done, proposal)
        key = f"undo:{run_id}:{proposal.answered}:{'plan' if dry_run else 'write'}"
        return self._ask(done, Ask(undo_run_id=run_id, dry_run=dry_run), key, actor)

    def _ask(self, source: Run, ask: Ask, key: str, actor: Actor) -> Run:
        return self.runs.run_now(
            source.provider_key,
            source.object_key,
            source.connection_key,
            ask=ask,
            idempotency_key=key,
            actor=actor,
        )
