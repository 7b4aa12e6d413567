"""map_fields: records become local rows, compared with what is there; the difference is the change set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.blast_radius import hold
from integrations_hub.domain.local_entity import LOCAL_ENTITIES
from integrations_hub.failpoints import hit
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.filter_parents import require_staging
from integrations_hub.sync.page_mapping import Outcome, PageMapping, digest_name
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.replay import Replay
from integrations_hub.sync.stage import Stage, enter

_RENEW_EVERY = 5000  # records: seconds of work, against a lease of two minutes


@dataclass(frozen=True)
class MapFields:
    """From staging and local rows to the change set; no call to the provider."""

    store: SyncStore
    runs: RunStore
    registry: Registry
    replay: Replay

    def run(self, run_id: int) -> dict[str, Any]:
        """Write the change set and the quarantine; returns counts per action."""
        with enter(self.store, self.runs, run_id, "map_fields") as stage:
            applied = self.store.applied(run_id)
            if applied.chunks:
                return {"changes": applied.changes}  # never rewritten once applied
            pinned = Pinned.of(stage.run)
            if pinned.stored:
                counts = self.replay.plan_changes(stage, pinned)
                stage.log(
                    "stored_plan_taken",
                    apply=pinned.apply_run_id,
                    undo=pinned.undo_run_id,
                    **counts,
                )
                return counts
            require_staging(stage)
            outcome = self._map(stage, pinned)
            counts = self._save(stage, pinned, outcome)
            stage.log("changes_planned", **counts)
            return counts

    def _map(self, stage: Stage, pinned: Pinned) -> Outcome:
        obj = self.registry.get_object_catalog(stage.run.provider_key, stage.run.object_key)
        entity = LOCAL_ENTITIES[pinned.local_entity]
        mapping = PageMapping(obj, pinned.lines, entity, pinned.filters)
        outcome, unrenewed = Outcome(), 0
        self.store.begin_mapped(pinned.local_entity)
        for page in self.store.mappable(stage.run.id):
            self.store.add_mapped(pinned.local_entity, mapping.rows(page, outcome))
            unrenewed += len(page.places)
            if unrenewed >= _RENEW_EVERY:
                stage.renew()
                unrenewed = 0
            hit("mid_map")
        outcome.unseen = mapping.unseen if outcome.mapped else []
        return outcome

    def _save(self, stage: Stage, pinned: Pinned, outcome: Outcome) -> dict[str, int]:
        with stage.write() as tx:
            planned = tx.save_changes(pinned.write_rules(outcome.unseen))
            outcome.rejects.extend(_unfit(*unfit, pinned) for unfit in planned.unfit)
            tx.quarantine(outcome.rejects, pinned.mapping_digest)
            counts = {
                "unchanged": outcome.mapped - planned.found,
                "rejected": len(outcome.rejects),
                "review": planned.actions.get("review", 0),
                "skipped": planned.passed + planned.actions.get("skip", 0),
            }
            radius = tx.replays(pinned.local_entity).blast_radius(planned.actions)
            tx.save_plan(
                **counts,
                unseen=outcome.unseen,
                warnings=[*outcome.warnings(), *_left_out(pinned), *_unseen(pinned, outcome)],
                hold=hold(radius, pinned.guard, approve_plan=pinned.approve_plan),
            )
        return {**planned.actions, **counts}


def _unfit(external_id: str, column: str, pinned: Pinned) -> dict[str, str]:
    """What the tables could not hold, told by the provider's field; an id that long by its digest."""
    source = next((line.source for line in pinned.lines if line.target == column), "")
    empty = column == "name"
    return {
        "external_id": external_id if source else digest_name(external_id.encode()),
        "code": "MISSING_VALUE" if empty else "TOO_LONG",
        "reason": f"{source or 'the id'} " + ("is empty" if empty else "is too long for an index"),
        "pointer": f"/{source}",
    }


def _left_out(pinned: Pinned) -> list[str]:
    if not pinned.left_out:
        return []
    columns = ", ".join(pinned.left_out)
    return [f"The mapping is out of date and was used in part: {columns} keep their local values."]


def _unseen(pinned: Pinned, outcome: Outcome) -> list[str]:
    if not outcome.unseen:
        return []
    fields, columns = ", ".join(outcome.unseen), ", ".join(pinned.columns_of(outcome.unseen))
    return [
        f"No record came with {fields}: {columns} keep their local values. Look at the mapping if the provider gave the field up."
    ]
