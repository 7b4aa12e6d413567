"""What earlier runs read, used again for another mapping: no request to the provider (remap, quarantine)."""

from __future__ import annotations

from typing import Any

from integrations_hub.domain.run import Run
from integrations_hub.errors import NothingKept
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.reading import digest_of
from integrations_hub.sync.stage import Stage


def require_kept(store: SyncStore, run: Run, pinned: Pinned) -> list[int]:
    """Runs whose pages give the whole list as it was last read, in order.

    Raises NothingKept: none is kept, a crash of PostgreSQL took some, or they lack a field.
    """
    kept = store.kept_runs(run.connection_id, run.object_key)
    if not any(one.found for one in kept):
        raise NothingKept(f"Nothing that {run.lease_key} read is kept.")
    if any(one.found != one.pages for one in kept):
        raise NothingKept(
            f"Some of what {run.lease_key} read is gone (PostgreSQL crashed, or it is too old)."
        )
    lacking = sorted({name for one in kept for name in set(pinned.sources) - one.sources})
    if lacking:
        raise NothingKept(
            f"{', '.join(lacking)} was not read before: only a full listing can load it."
        )
    return [one.run_id for one in kept]


def stage_kept(stage: Stage, pinned: Pinned) -> dict[str, Any]:
    """Stage the whole list as it was last read, with its witness; returns pages, records, requests."""
    run, store = stage.run, stage.store
    runs = require_kept(store, run, pinned)
    with stage.write() as tx:
        tx.clear_staging()
        tx.kept().stage(runs)
    pages = store.pages(run.id)
    records = sum(page[1] for page in pages)
    with stage.write() as tx:
        # no mark: nothing was read
        witness = {"pages": len(pages), "records": records, "digest": digest_of(pages)}
        tx.save_witness(witness, None, listing={"kept_runs": runs}, requests=0)
    stage.log("kept_staged", runs=len(runs), records=records)
    return {"pages": len(pages), "records": records, "requests": 0}


def stage_due(stage: Stage, pinned: Pinned) -> int:
    """A quarantined record is tried again when the mapping changed, not only when the record does; how many."""
    if not stage.store.due(stage.run, pinned.mapping_digest):
        return 0
    with stage.write() as tx:
        due = tx.kept().stage_due(pinned.mapping_digest, pinned.sources)
    if due:
        stage.log("quarantine_tried_again", records=due)
    return due
