"""What the stages of a run stand on: lease, fence, staging, change set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.domain.policies import WriteRules
from integrations_hub.domain.run import Run
from integrations_hub.domain.staged_page import StagedPage
from integrations_hub.ports.plans import Replays


@dataclass(frozen=True)
class Staged:
    """All of a listing: records, distinct ones (one without an id counts as one), greatest stamp up to a limit."""

    records: int
    distinct: int
    newest: datetime | None


@dataclass(frozen=True)
class MappablePage:
    """One staged page: `body` as it came, and what its elements are.

    Of those to map, entry by entry: `places` in its array, `external_ids`, `stamps` as text or None.
    `malformed`: (place, external_id or None, problem) of those fetch could not identify.
    """

    page_no: int
    body: bytes
    places: Sequence[int]
    external_ids: Sequence[str]
    stamps: Sequence[str | None]
    malformed: Sequence[tuple[int, str | None, str]]


@dataclass(frozen=True)
class PlannedChanges:
    """What map_fields found.

    `found`: records that are not as they should be, of which `passed` are left alone without a change
    to list; the rest of the mapped ones are unchanged.
    `actions`: changes per action. `unfit`: (external_id, local column) of what the tables could not hold.
    """

    found: int
    passed: int
    actions: Mapping[str, int]
    unfit: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Applied:
    """`chunks` of the change set, up to change `last_seq`, of `changes`, which are numbered from 1."""

    chunks: int
    last_seq: int
    changes: int


@dataclass(frozen=True)
class KeptRun:
    """A run whose pages are kept: how many there were, how many are there, the fields it read."""

    run_id: int
    pages: int
    sources: frozenset[str]
    found: int


class KeptPages(Protocol):
    """Part of one fenced transaction: what earlier runs read, used again."""

    def stage(self, runs: Sequence[int]) -> None:
        """What these runs read becomes what this run has read."""

    def stage_due(self, mapping: str, sources: Sequence[str]) -> int:
        """Kept versions of quarantined records that another mapping rejected; how many."""


class Completeness(Protocol):
    """Part of one fenced transaction: what a listing lacks and what it proves."""

    def list_absent(self, *, listed: int, max_rows: int, max_percent: float) -> dict[str, int]:
        """Stage linked records in scope that were not listed; returns linked, absent and too_many."""

    def save_presence(self, external_id: str, verdict: str) -> None: ...

    def save_unproven(self) -> None:
        """Look-ups by id cannot be trusted: what is still to be asked stays undecided."""

    def judge(self, *, every_record: bool) -> dict[str, Any]:
        """Compare the listing with the links now, store and return the verdict.

        `every_record`: an unlinked record that the plan of changes does not name is missing, too.
        """

    def save_verdict(self, verdict: Mapping[str, Any]) -> None: ...

    def count_absent(self) -> None:
        """After a complete sweep: missing counts of links, up for the absent, back to 0 for the listed."""


class Fenced(Protocol):
    """One write transaction of a stage. Its first statement checked and renewed the fence."""

    def pin_plan(
        self, plan: Mapping[str, Any], mark_from: datetime | None, rule_revision: int
    ) -> None: ...

    def note_sweep_try(self) -> None:
        """A sweep that is due begins; should it fail, the next one is tried a day later."""

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
        """The page, and the progress of fetch with it."""

    def save_listing(self, listing: Mapping[str, Any], *, requests: int) -> None:
        """The progress of fetch without a page."""

    def clear_staging(self) -> None: ...

    def completeness(self) -> Completeness:
        """What the listing lacks and what it proves."""

    def kept(self) -> KeptPages:
        """What earlier runs read, staged for this one."""

    def save_witness(
        self,
        witness: Mapping[str, Any],
        mark_to: datetime | None,
        *,
        listing: Mapping[str, Any],
        requests: int,
    ) -> None:
        """What fetch staged, with its progress at the end."""

    def add_warnings(self, warnings: Sequence[str]) -> None: ...

    def filter_parents(self) -> dict[str, int]:
        """Flag duplicates, when there are any; returns children, duplicates, roots and malformed."""

    def save_changes(self, rules: WriteRules) -> PlannedChanges:
        """Turn this session's mapped rows into the change set."""

    def drop_changes(self) -> None:
        """Forget the change set of an earlier try (never after a chunk was applied)."""

    def replays(self, local_entity: str) -> Replays:
        """Stored plans: holding one, adopting one, taking a run back."""

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
        """The change set is whole.

        `unseen`: fields that no record had. `hold`: why the run ends after map_fields to ask a person; None takes
        an earlier answer back.
        """

    def quarantine(self, rejects: Sequence[Mapping[str, str]], mapping: str) -> None:
        """`mapping`: digest of the mapping that rejected them."""

    def apply_chunk(
        self,
        chunk_no: int,
        first_seq: int,
        last_seq: int,
        rules: WriteRules,
        *,
        exactly: bool = False,
    ) -> dict[str, int]:
        """Projects, links, counters and ledger row of one chunk; what it counted, by counter.

        `exactly`: a row that moved since it was planned is left alone (drifted), not decided again.
        """

    def note_proof(self, *, swept: bool, complete: bool) -> None: ...

    def note_covered(self, since: datetime | None, until: datetime | None, *, swept: bool) -> None:
        """The interval [since, until] was read and applied; closes the resyncs that it completes."""

    def move_mark(self, mark: datetime | None, generation: int) -> None: ...

    def close(
        self,
        state: str,
        *,
        code: str | None = None,
        text: str | None = None,
        hint: str | None = None,
    ) -> None:
        """End the run and give the lease back."""


class SyncStore(Protocol):
    """Lease, fence and staging of runs. Only the database's clock is used."""

    def acquire(self, run: Run, ttl_s: int) -> bool:
        """Take the lease of the run's key; True also when this run already holds it."""

    def lease_holder(self, key: str) -> tuple[int, datetime] | None:
        """(run_id, taken_at) while the lease lives."""

    def enter_stage(self, run_id: int, stage: str, ttl_s: int) -> tuple[Run, int] | None:
        """Raise the fence for this try of the stage; the run as it was, and the fence.

        None when another run holds the lease, or this one has ended or was cancelled (finish enters that, too).
        """

    def renew(self, run: Run, fence: int, ttl_s: int) -> None: ...

    def fenced(self, run: Run, fence: int, ttl_s: int) -> AbstractContextManager[Fenced]: ...

    def note_error(self, run: Run, fence: int, *, code: str, text: str, hint: str) -> None:
        """What the stage failed of; refused for an older try and for an ended run."""

    def state(self, connection_id: int, object_key: str) -> dict[str, Any] | None:
        """A row of integration_state; `sweep_age_s`, `sweep_tried_age_s` by the database's clock."""

    def pages(self, run_id: int) -> list[tuple[int, int, str]]:
        """(page_no, records, digest) in order."""

    def staged_since(self, run_id: int, stamp: datetime) -> set[tuple[str | None, datetime]]: ...

    def staged(self, run_id: int, stamp_limit: datetime) -> Staged: ...

    def mappable(self, run_id: int) -> Iterable[MappablePage]:
        """Pages with staged records, in order, one in memory at a time."""

    def kept_runs(self, connection_id: int, object_key: str) -> list[KeptRun]:
        """The last full listing and the listings of changes since, in order."""

    def due(self, run: Run, mapping: str) -> int:
        """How many records of the run's list are quarantined that another mapping rejected."""

    def begin_mapped(self, local_entity: str) -> None: ...

    def add_mapped(self, local_entity: str, rows: Iterable[Sequence[Any]]) -> None: ...

    def applied(self, run_id: int) -> Applied:
        """How much of the run's change set is applied."""

    def absent_to_ask(self, run_id: int) -> list[str]:
        """External ids that the sweep must still look up."""

    def a_listed_record(self, run_id: int) -> str | None:
        """The external id of a record that the listing did hold."""

    def absent(self, run_id: int) -> list[str]:
        """External ids that the run's sweep did not list, sorted."""


class KeptStore(Protocol):
    """What earlier runs read and is still there."""

    def kept_record(
        self, connection_id: int, object_key: str, external_id: str | None
    ) -> tuple[str, bytes, int] | None:
        """(external_id, page body, index in its array) of the newest kept version.

        Without an id: of a record read last. None when nothing is kept.
        """


class ConnectionLookup(Protocol):
    """How a task gets its connection (Airflow's own Connection look-up, or the broker in one process)."""

    def __call__(self, provider_key: str, connection_key: str) -> ServedConnection: ...
