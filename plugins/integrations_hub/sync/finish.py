"""finish: closes the run in one transaction: the mark, the outcome, the lease; fails when the run failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.run import CANCELLED, GOOD, Run
from integrations_hub.errors import ListingIncomplete, RunFailed
from integrations_hub.failpoints import hit
from integrations_hub.ports.records import RunStore
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.stage import enter

_ENDS = {ListingIncomplete.default_code: "incomplete", CANCELLED: "cancelled"}


@dataclass(frozen=True)
class Outcome:
    """How the run ends; `moves_mark` only after a complete listing and a complete upsert."""

    state: str
    code: str | None = None
    text: str | None = None
    hint: str | None = None
    moves_mark: bool = False


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
                    if outcome.moves_mark:
                        tx.move_mark(stage.run.mark_to, Pinned.of(stage.run).generation)
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

    def _judge(self, run: Run) -> Outcome:
        if run.listing.get("mapped"):
            pinned = Pinned.of(run)
            if pinned.dry_run:
                return Outcome("planned")
            if self._applied(run):
                state = "succeeded_with_rejects" if run.rejected else "succeeded"
                return Outcome(state, moves_mark=pinned.listing != "window")
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
        chunks = self.store.chunks(run.id)
        return (chunks[-1][2] if chunks else 0) >= self.store.change_count(run.id)
