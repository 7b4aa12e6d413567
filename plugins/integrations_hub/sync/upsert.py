"""upsert: applies the change set in chunks, one transaction each, every chunk exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integrations_hub.errors import DatabaseBusy
from integrations_hub.failpoints import hit
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.stage import Stage, enter

_CHUNK = 5000
_TRIES = 3  # of a chunk whose rows somebody else holds or takes in another order


@dataclass(frozen=True)
class Upsert:
    """Over the change set; `chunk_size` changes are one transaction."""

    store: SyncStore
    runs: RunStore
    chunk_size: int = _CHUNK

    def run(self, run_id: int) -> dict[str, Any]:
        """Apply what the chunk ledger does not hold yet; returns created and updated of this try."""
        with enter(self.store, self.runs, run_id, "upsert") as stage:
            pinned = Pinned.of(stage.run)
            if pinned.dry_run or stage.run.hold:
                stage.log("plan_kept", dry_run=pinned.dry_run, hold=bool(stage.run.hold))
                return {"created": 0, "updated": 0, "dry_run": pinned.dry_run}
            done = self.store.applied(run_id)
            chunk_no, seq = done.chunks + 1, done.last_seq + 1
            counts: dict[str, int] = {"created": 0, "updated": 0}
            while seq <= done.changes:
                last = min(seq + self.chunk_size - 1, done.changes)
                applied = self._patiently(stage, pinned, chunk_no, seq, last)
                counts = {name: counts.get(name, 0) + n for name, n in applied.items()}
                chunk_no, seq = chunk_no + 1, seq + self.chunk_size
            return counts

    def _patiently(
        self, stage: Stage, pinned: Pinned, chunk_no: int, first_seq: int, last_seq: int
    ) -> dict[str, int]:
        for _ in range(_TRIES - 1):
            try:
                return self._apply(stage, pinned, chunk_no, first_seq, last_seq)
            except DatabaseBusy as busy:
                stage.log("chunk_repeated", chunk=chunk_no, code=busy.code)
        return self._apply(stage, pinned, chunk_no, first_seq, last_seq)

    def _apply(
        self, stage: Stage, pinned: Pinned, chunk_no: int, first_seq: int, last_seq: int
    ) -> dict[str, int]:
        with stage.write() as tx:
            hit("chunk_fence_checked")
            rules = pinned.write_rules(stage.run.listing.get("unseen", ()))
            applied = tx.apply_chunk(chunk_no, first_seq, last_seq, rules, exactly=pinned.stored)
            hit("chunk_before_commit")
        hit("chunk_after_commit")
        stage.log("chunk_applied", chunk=chunk_no, **applied)
        return applied
