"""Marks of connections and objects outside a run. A run's own mark is moved by finish."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from integrations_hub.domain.rule import Rule
from integrations_hub.errors import ConflictingChange, LeaseHeld
from integrations_hub.ports.runs import State
from integrations_hub.store.audit import record
from integrations_hub.store.database import Connection, Database
from integrations_hub.store.statements import load

_q = load("state")
_sync = load("sync")


class PostgresStateStore:
    """Fulfils ports.StateStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, connection_id: int, object_key: str) -> State | None:
        """None before the first run or seed."""
        row = self._database.row(_q.get, {"connection_id": connection_id, "object_key": object_key})
        return State(**row) if row else None

    def edit(
        self,
        rule: Rule,
        *,
        mark: datetime | None,
        expected_revision: int,
        actor: str,
        request_id: str | None,
    ) -> State:
        """Set the mark for the rule's generation; `expected_revision` 0 = there is no state yet.

        Raises LeaseHeld while a run works on it, ConflictingChange when the state has moved.
        """
        names = {"connection_id": rule.connection_id, "object_key": rule.object_key}
        values = names | {
            "generation": rule.generation,
            "mark": mark,
            "actor": actor,
            "from_now": rule.body.get("initialSyncMode") == "delta_only_from_now",
            "expected_revision": expected_revision,
        }
        with self._database.transaction() as tx:
            _keep_runs_out(tx, rule.lease_key)
            before = tx.execute(_q.get, names).fetchone()
            edited = tx.execute(_q.edit if expected_revision else _q.insert_edited, values)
            if edited.fetchone() is None:
                _refuse_moved(rule, before["revision"] if before else 0, expected_revision)
            state = State(**(tx.execute(_q.get, names).fetchone() or {}))
            record(
                tx,
                actor=actor,
                action="state.edited",
                target=f"state:{rule.lease_key}",
                detail={
                    "mark": _text(mark),
                    "was": _text(before["mark"] if before else None),
                    "generation": state.generation,
                    "revision": state.revision,
                },
                request_id=request_id,
            )
        return state

    def linked_since(self, connection_id: int, object_key: str, since: datetime) -> int:
        """Linked records whose last known change is not before `since`."""
        row = self._database.row(
            _q.linked_since,
            {"connection_id": connection_id, "object_key": object_key, "since": since},
        )
        return int(row["n"]) if row else 0

    def seed_mark(
        self,
        connection_id: int,
        object_key: str,
        generation: int,
        *,
        seeded_by: str,
        mark: datetime | None = None,
    ) -> bool:
        """Set the mark of a rule that begins now (D6); False when this generation already has one.

        `mark`: naive UTC in the provider's clock; None = the database's clock. No answer of the
        provider exists yet when a rule is enabled, so our clock must do: the first run still reads
        from `overlapSeconds` before it, which is what the provider's clock may lag behind ours.
        """
        with self._database.transaction() as tx:
            return seed_mark(
                tx, connection_id, object_key, generation, seeded_by=seeded_by, mark=mark
            )


def seed_mark(
    tx: Connection,
    connection_id: int,
    object_key: str,
    generation: int,
    *,
    seeded_by: str,
    mark: datetime | None = None,
) -> bool:
    """As PostgresStateStore.seed_mark, in the transaction of the switch that begins the rule."""
    values = {
        "connection_id": connection_id,
        "object_key": object_key,
        "generation": generation,
        "seeded_by": seeded_by,
        "mark": mark,
    }
    return tx.execute(_q.seed_mark, values).fetchone() is not None


def _keep_runs_out(tx: Connection, key: str) -> None:
    """Hold the lease row until the commit. Raises LeaseHeld while a run has the lease."""
    tx.execute(_sync.make_lease, {"key": key})
    lease = tx.execute(_q.lock_lease, {"key": key}).fetchone()
    if lease is not None and lease["held"]:
        raise LeaseHeld(
            f"Run {lease['run_id']} works on {key} since {lease['taken_at']:%Y-%m-%d %H:%M:%S} UTC.",
            hint="Wait for its end, or cancel it, then repeat your change.",
        )
    tx.execute(_q.fence_off, {"key": key})


def _refuse_moved(rule: Rule, current: int, expected: int) -> NoReturn:
    raise ConflictingChange(
        f"The state of {rule.lease_key} is at revision {current}; you looked at revision {expected}.",
        code="REVISION_CONFLICT",
        detail={"current_revision": current},
    )


def _text(mark: datetime | None) -> str | None:
    return mark.isoformat() if mark else None
