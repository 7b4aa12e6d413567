"""Lease, fence and staging of runs. Only the database's clock is used; every write is fenced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import compress
from typing import Any

from integrations_hub.domain.run import Run
from integrations_hub.errors import ConnectionNotReady, RuleDisabled, RunLost
from integrations_hub.ports.sync import Applied, KeptRun, MappablePage, Staged
from integrations_hub.store.database import Database
from integrations_hub.store.fenced import FencedTransaction
from integrations_hub.store.runs import run_of
from integrations_hub.store.statements import load

_q = load("sync")
_state = load("state")
_absence = load("absence")
_kept_q = load("kept")
_entity_q = {"project": load("project_changes")}


class PostgresSyncStore:
    """One per task try: `mapped` rows live in this object's session."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, run: Run, ttl_s: int) -> bool:
        """Take the lease of the run's key; True also when this run already holds it.

        The open run whose lapsed lease is taken over is closed as lost in the same transaction.
        """
        values = {"key": run.lease_key, "run_id": run.id, "ttl_s": ttl_s}
        taken = self._database.row(_q.acquire, values)
        if taken is None and self._database.execute(_q.make_lease, values):
            taken = self._database.row(_q.acquire, values)
        return taken is not None

    def lease_holder(self, key: str) -> tuple[int, datetime] | None:
        """(run_id, taken_at) while the lease lives."""
        row = self._database.row(_q.lease_holder, {"key": key})
        return (row["run_id"], row["taken_at"]) if row else None

    def enter_stage(self, run_id: int, stage: str, ttl_s: int) -> tuple[Run, int] | None:
        """Raise the fence for this try of the stage; the run as it was, and the fence.

        None when another run holds the lease, or this one has ended or was cancelled (finish enters that, too).
        """
        values = {"run_id": run_id, "stage": stage, "ttl_s": ttl_s}
        row = self._database.row(_q.enter_stage, values)
        return None if row is None else (run_of(row), int(row["entered"]))

    def renew(self, run: Run, fence: int, ttl_s: int) -> None:
        """Extend the lease. Raises RunLost when the fence moved on."""
        with self._database.statement() as tx:
            check_fence(tx, run, fence, ttl_s)

    @contextmanager
    def fenced(self, run: Run, fence: int, ttl_s: int) -> Iterator[FencedTransaction]:
        """A write transaction; raises RunLost before anything is written when the fence moved on."""
        with self._database.transaction() as tx:
            check_fence(tx, run, fence, ttl_s)
            yield FencedTransaction(tx, run, fence)

    def note_error(self, run: Run, fence: int, *, code: str, text: str, hint: str) -> None:
        """What the stage failed of; refused for an older try and for an ended run."""
        self._database.execute(
            _q.note_error,
            {"run_id": run.id, "fence": fence, "code": code, "text": text, "hint": hint},
        )

    def state(self, connection_id: int, object_key: str) -> dict[str, Any] | None:
        """A row of integration_state; ages in seconds by the database's clock."""
        return self._database.row(
            _state.read, {"connection_id": connection_id, "object_key": object_key}
        )

    def pages(self, run_id: int) -> list[tuple[int, int, str]]:
        """(page_no, records, digest) in order."""
        rows = self._database.rows(_q.pages, {"run_id": run_id})
        return [(row["page_no"], row["n"], row["digest"]) for row in rows]

    def staged_since(self, run_id: int, stamp: datetime) -> set[tuple[str | None, datetime]]:
        """(external_id, stamp) of what is staged from a stamp on."""
        rows = self._database.rows(_q.staged_since, {"run_id": run_id, "stamp": stamp})
        return {(row["external_id"], row["updated_at"]) for row in rows}

    def staged(self, run_id: int, stamp_limit: datetime) -> Staged:
        """All that is staged, and the greatest stamp not above the limit."""
        values = {"run_id": run_id, "stamp_limit": stamp_limit}
        return Staged(**self._database.rows(_q.staged, values)[0])

    def mappable(self, run_id: int) -> Iterator[MappablePage]:
        """Pages with staged records, in order, one in memory at a time."""
        page_no = 0
        while page := self._database.values(_q.next_page, {"run_id": run_id, "page_no": page_no}):
            page_no = page[0]
            yield _mappable(*page)

    def kept_runs(self, connection_id: int, object_key: str) -> list[KeptRun]:
        """The last full listing and the listings of changes since, in order."""
        where = {"connection_id": connection_id, "object_key": object_key}
        return [
            KeptRun(row["run_id"], row["pages"], frozenset(row["sources"]), row["found"])
            for row in self._database.rows(_kept_q.kept_runs, where)
        ]

    def due(self, run: Run, mapping: str) -> int:
        """How many records of the run's list are quarantined that another mapping rejected."""
        values = {
            "connection_id": run.connection_id,
            "object_key": run.object_key,
            "mapping": mapping,
        }
        row = self._database.row(_kept_q.due_count, values)
        return int(row["n"]) if row else 0

    def kept_record(
        self, connection_id: int, object_key: str, external_id: str | None
    ) -> tuple[str, bytes, int] | None:
        """(external_id, page body, index in its array) of the newest kept version."""
        where = {
            "connection_id": connection_id,
            "object_key": object_key,
            "external_id": external_id,
        }
        row = self._database.row(_kept_q.kept_place, where)
        return None if row is None else (row["external_id"], row["body"], row["n"])

    def begin_mapped(self, local_entity: str) -> None:
        """An empty session-local table for mapped rows."""
        self._database.execute(_entity_q[local_entity].begin_mapped)

    def add_mapped(self, local_entity: str, rows: Iterable[Sequence[Any]]) -> None:
        """(external_id, source_updated_at, raw_status, *columns of the entity, wanted)."""
        self._database.copy(_entity_q[local_entity].copy_mapped, rows)

    def applied(self, run_id: int) -> Applied:
        """How much of the run's change set is applied."""
        return Applied(**self._database.rows(_q.applied, {"run_id": run_id})[0])

    def absent_to_ask(self, run_id: int) -> list[str]:
        """External ids that the sweep must still look up."""
        rows = self._database.rows(_absence.to_ask, {"run_id": run_id})
        return [row["external_id"] for row in rows]

    def a_listed_record(self, run_id: int) -> str | None:
        """The external id of a record that the listing did hold."""
        row = self._database.row(_absence.a_listed_record, {"run_id": run_id})
        return row["external_id"] if row else None

    def absent(self, run_id: int) -> list[str]:
        """External ids that the run's sweep did not list, sorted."""
        rows = self._database.rows(_absence.absent, {"run_id": run_id})
        return [row["external_id"] for row in rows]


def _mappable(  # noqa: PLR0917 - the columns of a row
    page_no: int,
    body: bytes,
    places: list[int],
    external_ids: list[str],
    stamps: list[str | None],
    parent_ids: list[str | None],
    problems: list[str | None] | None,
    older: list[int] | None,
) -> MappablePage:
    """Children and older versions are left out."""
    mine = [parent is None for parent in parent_ids]
    if older:
        replaced = frozenset(older)
        mine = [one and n not in replaced for one, n in zip(mine, places, strict=True)]
    usable, malformed = mine, []
    if problems is not None:
        usable = [one and problem is None for one, problem in zip(mine, problems, strict=True)]
        every = zip(mine, places, external_ids, problems, strict=True)
        malformed = [(n, key, problem) for one, n, key, problem in every if one and problem]
    return MappablePage(
        page_no,
        body,
        list(compress(places, usable)),
        list(compress(external_ids, usable)),
        list(compress(stamps, usable)),
        malformed,
    )


def check_fence(tx: Any, run: Run, fence: int, ttl_s: int) -> None:
    """Lock and renew the lease row.

    Raises RunLost when fence or holder differ or the run was cancelled, RuleDisabled or ConnectionNotReady
    when that happened meanwhile (plan decides for itself, finish always ends).
    """
    row = tx.execute(
        _q.check_fence,
        {"key": run.lease_key, "run_id": run.id, "fence": fence, "ttl_s": ttl_s},
    ).fetchone()
    if row is None or row["ended"]:
        raise RunLost(
            f"Run {run.id} was overtaken on {run.lease_key}: fence {fence} is no longer valid.",
        )
    if row["stage"] not in ("plan", "finish"):
        _check_stopped(row, run)


def _check_stopped(row: dict[str, Any], run: Run) -> None:
    if row["rule_disabled"]:
        raise RuleDisabled(f"The rule of {run.lease_key} was disabled while run {run.id} worked.")
    if row["connection_disabled"]:
        raise ConnectionNotReady(
            f"The connection of {run.lease_key} was disabled while run {run.id} worked."
        )
