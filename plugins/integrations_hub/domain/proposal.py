"""How the plan of changes of a run stands, and when it can no longer be applied or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from integrations_hub.domain.run import Run
from integrations_hub.errors import PlanUnusable

_TAKEN_BACK = (
    "succeeded",
    "succeeded_with_rejects",
    "succeeded_partial_mapping",
    "failed",
    "lost",
    "cancelled",
)


@dataclass(frozen=True)
class Proposal:
    """How the plan of changes of a run stands.

    `whole`: map_fields finished it. `applied_seq`: how far it was applied by the run itself. `applied_by`,
    `superseded_by`: other runs. `answered`: runs that applied it or took it back and have ended. `approved_seqs`: the approved rows, None = all.
    """

    whole: bool
    changes: int
    applied_seq: int
    applied_by: int | None
    answered: int
    superseded_by: int | None
    approved_seqs: tuple[int, ...] | None


def refuse_apply(source: Run, proposal: Proposal, generation: int) -> None:
    """Raises PlanUnusable unless the plan is whole, unanswered by another run, and the newest."""
    because = None
    if source.state not in ("planned", "needs_confirmation") or not proposal.whole:
        because = f"it ended as {source.state} and holds no plan that waits"
    elif proposal.applied_by is not None:
        because = f"run {proposal.applied_by} applied it already"
    elif proposal.superseded_by is not None:
        because = f"run {proposal.superseded_by} made a newer plan"
    elif source.plan.get("generation") != generation:
        because = "the rule starts over since"
    elif proposal.changes == 0 and not source.hold:
        because = "it changes nothing, or its changes are no longer kept"
    if because:
        raise PlanUnusable(f"The plan of run {source.id} cannot be applied: {because}.")


def refuse_undo(source: Run, proposal: Proposal) -> None:
    """Raises PlanUnusable unless the run has ended, wrote something, and its journal is kept."""
    because = None
    if not source.ended:
        because = f"it is {source.state}"
    elif proposal.applied_seq == 0 or source.state not in _TAKEN_BACK:
        because = "it wrote nothing"
    elif proposal.changes < proposal.applied_seq:
        because = "its journal is no longer kept"
    if because:
        raise PlanUnusable(
            f"Run {source.id} cannot be taken back: {because}.",
            hint="Choose a run that wrote rows and whose changes are still listed.",
        )
