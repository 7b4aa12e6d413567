"""finish: closes the run in one transaction: mark, verdict, outcome, lease; fails when the run failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.run import CANCELLED, GOOD, Run
from integrations_hub.errors import (
    ConnectionNotReady,
    ListingIncomplete,
    RuleDisabled,
    RunFailed,
)
from integrations_hub.failpoints import hit
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import Fenced, SyncStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.stage import enter

_SHOWN_IDS = 20
_ENDS = {
    ListingIncomplete.default_code: "incomplete",
    CANCELLED: "cancelled",
    # disabled while the run worked
    RuleDisabled.default_code: "cancelled",
    ConnectionNotReady.default_code: "cancelled",
}


@dataclass(frozen=True)
class Outcome:
    """How the run ends; `applied` only after a complete listing and a complete upsert."""

    state: str
    code: str | None = None
    text: str | None = None
    hint: str | None = None
    applied: bool = False


@dataclass(frozen=True)
class Finish:
    """The only stage that moves the mark."""

    store: SyncStore
    runs: RunStore

    def run(self, run_id: int) -> dict[str, Any]:
        """Close the run from its row and chunk ledger; a no-op on an ended run.

        Raises RunFailed when the run did not end well, so that Airflow counts it as failed.
        """
        run = self.runs.get(run_id)
        if not run.ended:
            with enter(self.store, self.runs, run_id, "finish") as stage:
                outcome = self._judge(stage.run)
                hit("before_finish")
                with stage.write() as tx:
                    self._conclude(tx, stage.run, outcome)
                    tx.close(outcome.state, code=outcome.code, text=outcome.text, hint=outcome.hint)
                hit("finished")
                stage.log("run_ended", state=outcome.state, code=outcome.code)
            run = self.runs.get(run_id)
        if run.state not in GOOD:
            raise RunFailed(
                f"Run {run.id} ended as {run.state}: {run.error_text}",
                hint=run.error_hint or "",
                code=run.error_code or "",
            )
        return {"run_id": run.id, "state": run.state, **run.counts()}

    def _conclude(self, tx: Fenced, run: Run, outcome: Outcome) -> None:
        """What the end of the run proves: the mark, what was absent, the verdict, the resync."""
        if outcome.code == "TOO_MANY_MISSING":
            tx.completeness().save_verdict(self._held(run))
        if outcome.code == ListingIncomplete.default_code:
            tx.completeness().save_verdict({"state": "incomplete", "reason": outcome.text})
        if not outcome.applied:
            return
        pinned = Pinned.of(run)
        if pinned.stored:
            self._conclude_stored(tx, run, pinned)
            return
        if pinned.listing == "kept":
            return  # nothing was read: it proves nothing
        if pinned.listing == "window":
            tx.note_covered(pinned.since, pinned.until, swept=False)
            return
        tx.move_mark(run.mark_to, pinned.generation)
        if pinned.listing in ("full", "sweep"):
            swept = pinned.listing == "sweep"
            completeness = tx.completeness()
            completeness.count_absent()
            verdict = completeness.judge(every_record=_takes_all(pinned))
            tx.note_proof(swept=swept, complete=verdict["state"] == "complete")
            tx.note_covered(None, None, swept=swept)

    def _conclude_stored(self, tx: Fenced, run: Run, pinned: Pinned) -> None:
        """The plan's mark counts only if every row of it was applied: what was left must be read again."""
        replays = tx.replays(pinned.local_entity)
        left = {name: n for name, n in replays.left_over().items() if n}
        if left:
            said = ", ".join(f"{n} {name}" for name, n in left.items())
            tx.add_warnings([f"Not applied, because they changed since they were planned: {said}."])
        elif run.listing.get("moves_mark"):
            replays.move_mark_from(run.mark_to, pinned.generation, mark_from=run.mark_from)

    def _held(self, run: Run) -> dict[str, Any]:
        ids = self.store.absent(run.id)
        extra = {"count": len(ids), "ids": ids[:_SHOWN_IDS]}
        return {"state": "incomplete", "reason": (run.hold or {})["text"], "extra": extra}

    def _judge(self, run: Run) -> Outcome:
        if run.listing.get("mapped"):
            pinned = Pinned.of(run)
            if pinned.dry_run:
                return Outcome("planned")
            if run.hold:
                return Outcome(
                    "needs_confirmation", run.hold["code"], run.hold["text"], run.hold["hint"]
                )
            if self._applied(run):
                state = "succeeded_with_rejects" if run.rejected else "succeeded"
                if pinned.left_out or run.listing.get("unseen"):
                    state = "succeeded_partial_mapping"
                return Outcome(state, applied=True)
        if run.error_code is None:
            return Outcome(
                "failed",
                code="STAGE_INTERRUPTED",
                text=f"The stage after {run.stage} ended without a word.",
                hint="Look at the failed task's log in Airflow; the next run repeats the work.",
            )
        state = _ENDS.get(run.error_code, "failed")
        return Outcome(state, code=run.error_code, text=run.error_text, hint=run.error_hint)

    def _applied(self, run: Run) -> bool:
        applied = self.store.applied(run.id)
        return applied.last_seq >= applied.changes


def _takes_all(pinned: Pinned) -> bool:
    """Whether every top-level record of the list is this rule's to import."""
    return pinned.auto_create and not pinned.filters and pinned.only_since is None
