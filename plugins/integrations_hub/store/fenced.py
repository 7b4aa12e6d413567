"""What a stage may write inside one fenced transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations_hub.domain.policies import WriteRules
from integrations_hub.domain.run import Run
from integrations_hub.domain.staged_page import StagedPage
from integrations_hub.ports.sync import PlannedChanges
from integrations_hub.store.arrays import array
from integrations_hub.store.chunk_writer import ChunkWriter
from integrations_hub.store.completeness import Completeness
from integrations_hub.store.database import Connection
from integrations_hub.store.kept import KeptPages
from integrations_hub.store.replays import Replays
from integrations_hub.store.statements import load

_q = load("sync")
_state = load("state")
_absence = load("absence")
_resync = load("resync")
_entity_q = {"project": load("project_changes")}
_COUNTED = {
    "create": "created",
    "update": "updated",
    "link": "linked",
    "inactivate": "inactivated",
    "revive": "revived",
    "out_of_scope": "out_of_scope",
    "remove": "removed",
    "unlink": "updated",
    "refused": "refused",
    "drifted": "drifted",
}
# one statement compares the whole list; its joins should stay in memory, and a small sample tells which ones
_PLANNING = (
    "SET LOCAL statement_timeout = '10min'; SET LOCAL work_mem = '64MB'; "
    "SET LOCAL default_statistics_target = 10"
)


class FencedTransaction:
    """Made by PostgresSyncStore.fenced only: its first statement checked and renewed the fence."""

    def __init__(self, tx: Connection, run: Run, fence: int) -> None:
        self._tx = tx
        self._run = run
        self._fence = fence
        self._names = {
            "run_id": run.id,
            "fence": fence,
            "provider_key": run.provider_key,
            "object_key": run.object_key,
            "connection_id": run.connection_id,
        }

    def _execute(self, sql: str, **params: Any) -> Any:
        return self._tx.execute(sql, {**self._names, **params})

    # --- plan ---

    def pin_plan(
        self, plan: Mapping[str, Any], mark_from: datetime | None, rule_revision: int
    ) -> None:
        """Pin what plan decided on the run row."""
        self._execute(
            _q.pin_plan, plan=_json(plan), mark_from=mark_from, rule_revision=rule_revision
        )

    def note_sweep_try(self) -> None:
        """A sweep that is due begins."""
        self._execute(_state.note_sweep_try)

    # --- fetch ---

    def save_page(
        self,
        page_no: int,
        body: bytes,
        records: StagedPage,
        *,
        digest: str,
        listing: Mapping[str, Any],
        requests: int,
    ) -> None:
        """Body, staged records and ledger row of one page, and the progress of fetch on the run row."""
        stamps = [None if stamp is None else stamp.isoformat() for stamp in records.stamps]
        self._execute(
            _q.save_page,
            page_no=page_no,
            body=body,
            n=len(records),
            places=array(list(map(str, records.places))),
            external_ids=array(records.external_ids),
            parent_ids=array(records.parent_ids),
            stamps=array(stamps),
            problems=None if records.problems is None else array(records.problems),
            children=records.children,
            digest=digest,
            listing=_json(listing),
            requests=requests,
        )

    def save_listing(self, listing: Mapping[str, Any], *, requests: int) -> None:
        """Progress of fetch on the run row."""
        self._execute(_q.save_listing, listing=_json(listing), requests=requests)

    def clear_staging(self) -> None:
        """Forget everything this run staged."""
        self._execute(_q.clear_bodies)
        self._execute(_q.clear_pages)
        self._execute(_absence.clear_absent)
        self._execute(_q.forget_pages)

    def completeness(self) -> Completeness:
        """What the listing lacks and what it proves."""
        return Completeness(self._tx, self._names)

    def kept(self) -> KeptPages:
        """What earlier runs read, staged for this one."""
        return KeptPages(self._tx, self._names)

    def save_witness(
        self,
        witness: Mapping[str, Any],
        mark_to: datetime | None,
        *,
        listing: Mapping[str, Any],
        requests: int,
    ) -> None:
        """The logged witness of the unlogged staging, with the progress of fetch at its end."""
        self._execute(
            _q.save_witness,
            witness=_json(witness),
            mark_to=mark_to,
            listing=_json(listing),
            requests=requests,
        )

    def add_warnings(self, warnings: Sequence[str]) -> None:
        """Add to the run's warnings, each once."""
        if warnings:
            self._execute(_q.add_warnings, warnings=_json(list(warnings)))

    # --- filter_parents ---

    def filter_parents(self) -> dict[str, int]:
        """Flag duplicates, when there are any; returns children, duplicates, roots and malformed."""
        witness = self._run.witness or {}
        if witness.get("distinct") != witness.get("records"):
            self._execute(_q.unflag)
            self._execute(_q.flag_duplicates)
        return dict(self._execute(_q.count_flags).fetchone())

    # --- map_fields ---

    def save_changes(self, rules: WriteRules) -> PlannedChanges:
        """Turn this session's mapped rows into the change set."""
        queries = _entity_q[rules.local_entity]
        self._tx.execute(_PLANNING)
        self._execute(_q.drop_changes)
        self._execute(queries.analyze_mapped)
        rows = self._execute(queries.save_changes, **_values(rules)).fetchall()
        self._execute(_q.resolve_quarantine)
        unfit = [(row["external_id"], row["unfit"]) for row in rows if row["unfit"]]
        counts = {row["action"]: int(row["n"]) for row in rows if not row["unfit"]}
        return PlannedChanges(counts.pop("found"), counts.pop("passed"), counts, unfit)

    def drop_changes(self) -> None:
        """Forget the change set of an earlier try (never after a chunk was applied)."""
        self._execute(_q.drop_changes)

    def save_plan(
        self,
        *,
        unchanged: int,
        rejected: int,
        review: int,
        skipped: int,
        unseen: Sequence[str] = (),
        warnings: Sequence[str] = (),
        hold: Mapping[str, str] | None = None,
    ) -> None:
        """The change set is whole: what goes to the run row. `unseen`: fields that no record had."""
        found = {"mapped": True, "unseen": list(unseen)}
        self._execute(
            _q.save_plan,
            found=_json(found if hold is None else {**found, "hold": hold}),
            warnings=_json(list(warnings)),
            unchanged=unchanged,
            rejected=rejected,
            review=review,
            skipped=skipped,
        )

    def quarantine(self, rejects: Sequence[Mapping[str, str]], mapping: str) -> None:
        """`rejects`: external_id, code, reason, pointer; never a value. `mapping`: its digest."""
        if rejects:
            named = {**self._names, "mapping": mapping}
            self._tx.cursor().executemany(_q.quarantine, [{**named, **one} for one in rejects])

    def replays(self, local_entity: str) -> Replays:
        """Stored plans: holding one, adopting one, taking a run back."""
        return Replays(self._tx, self._names, _entity_q[local_entity])

    # --- upsert ---

    def apply_chunk(
        self,
        chunk_no: int,
        first_seq: int,
        last_seq: int,
        rules: WriteRules,
        *,
        exactly: bool = False,
    ) -> dict[str, int]:
        """Projects, links, counters and ledger row of one chunk of the change set; what it counted."""
        values = {**self._names, **_values(rules)}
        done = ChunkWriter(self._tx, _entity_q[rules.local_entity], values).apply(
            first_seq, last_seq, exactly=exactly
        )
        counts = dict.fromkeys(_COUNTED.values(), 0)
        for action, n in done.items():
            if action in _COUNTED:
                counts[_COUNTED[action]] += n
        self._execute(
            _q.save_chunk, chunk_no=chunk_no, first_seq=first_seq, last_seq=last_seq, **counts
        )
        self._execute(_q.add_counts, **counts)
        return counts

    # --- finish ---

    def note_proof(self, *, swept: bool, complete: bool) -> None:
        """When everything was last looked at, and last found complete."""
        self._execute(_state.note_proof, swept=swept, complete=complete)

    def note_covered(self, since: datetime | None, until: datetime | None, *, swept: bool) -> None:
        """The interval [since, until] was read and applied; closes the resyncs that it completes."""
        self._execute(_resync.note_covered, since=since, until=until, swept=swept)
        if self._execute(_resync.close_swept).rowcount:
            self._execute(_resync.clear_required)

    def move_mark(self, mark: datetime | None, generation: int) -> None:
        """Move the high-water mark of the run's connection and object."""
        self._execute(_state.move_mark, mark=mark, generation=generation)

    def close(
        self,
        state: str,
        *,
        code: str | None = None,
        text: str | None = None,
        hint: str | None = None,
    ) -> None:
        """End the run and give the lease back."""
        self._execute(_q.close_run, state=state, code=code, text=text, hint=hint)
        self._execute(_q.release, key=self._run.lease_key)


def _values(rules: WriteRules) -> dict[str, Any]:
    return {**vars(rules), "policies": list(rules.policies)}


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
