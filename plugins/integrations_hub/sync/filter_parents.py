"""filter_parents: keeps top-level records, set-wise, whatever the provider's own filter did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.listing import FilterProbe
from integrations_hub.domain.run import Run
from integrations_hub.errors import StagingLost
from integrations_hub.ports.connections import ConnectionStore
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.reading import digest_of
from integrations_hub.sync.stage import Stage, enter


def require_staging(stage: Stage) -> None:
    """Compare the staging with its logged witness. Raises StagingLost when PostgreSQL emptied it."""
    run, witness = stage.run, stage.run.witness or {}
    pages = stage.store.pages(run.id)
    found = {"pages": len(pages), "digest": digest_of(pages)}
    if found["pages"] != witness.get("pages") or found["digest"] != witness.get("digest"):
        raise StagingLost(
            f"Run {run.id}: staging holds {found['pages']} pages, fetch had left {witness.get('pages')}."
        )


@dataclass(frozen=True)
class FilterParents:
    """Over staging; no call to the provider."""

    store: SyncStore
    runs: RunStore
    connections: ConnectionStore

    def run(self, run_id: int) -> dict[str, Any]:
        """Flag children and older duplicates; returns the counts."""
        with enter(self.store, self.runs, run_id, "filter_parents") as stage:
            if Pinned.of(stage.run).stored:
                return {}
            require_staging(stage)
            with stage.write() as tx:
                counts = tx.filter_parents()
                if stage.run.listing.get("parent_filter_used") and counts["children"]:
                    tx.add_warnings(
                        [f"The provider's parent filter let {counts['children']} children through."]
                    )
            self._judge_probe(stage.run, counts)
            stage.log("children_dropped", **counts)
            return counts

    def _judge_probe(self, run: Run, counts: dict[str, int]) -> None:
        """The full listing that probed the server filter read everything: it proves the filter or not."""
        probe = run.listing.get("probe")
        if not probe:
            return
        roots = counts["roots"] + counts["malformed"]
        verified = bool(probe["accepted"]) and probe["filtered_count"] == roots
        note = str(probe["note"])
        if probe["accepted"] and not verified:
            note = f"switched off: it lists {probe['filtered_count']} records, but {roots} have no parent"
        self.connections.save_probe(
            run.connection_id,
            run.object_key,
            FilterProbe(
                accepted=bool(probe["accepted"]),
                note=note,
                filtered_count=probe["filtered_count"],
                verified=verified,
                page_size=run.listing.get("page_cap"),
            ),
        )
