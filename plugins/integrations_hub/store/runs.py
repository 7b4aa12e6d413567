"""Runs outside a fence: opening, asking for, reading, ending what never started."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import Run, RunRequest
from integrations_hub.errors import ConflictingChange, DatabaseUnavailable, NotFound
from integrations_hub.store.audit import record
from integrations_hub.store.database import Connection, Database, Row
from integrations_hub.store.resync import open_resync
from integrations_hub.store.statements import load

_q = load("runs")
_COLUMNS = tuple(field.name for field in fields(Run))
_TRIES = 5


class PostgresRunStore:
    """Fulfils ports.RunStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def adopt_or_open(self, request: RunRequest, rule: Rule) -> Run:
        """The open run of the Dag run, else a new one; of two callers at once, one opens it."""
        values = _values(request, rule) | {
            "dag_run_id": request.dag_run_id,
            "requested_by": request.requested_by,
        }
        for _ in range(_TRIES):
            # an open run may end between the two statements: then the next round opens a new one
            row = self._database.row(_q.find_open, values) or self._database.row(_q.open, values)
            if row is not None:
                return self.get(row["id"])
        raise DatabaseUnavailable(
            f"The run of {request.dag_run_id} could not be opened.", retry_after_s=5
        )

    def request(
        self, request: RunRequest, rule: Rule, *, actor: str, idempotency_key: str | None = None
    ) -> Run:
        """A `requested` row with its audit entry; the same key of the same actor gives the same run.

        Raises ConflictingChange when the key was used for a different request.
        """
        values = _values(request, rule) | {"actor": actor, "idempotency_key": idempotency_key}
        with self._database.transaction() as tx:
            row = tx.execute(_q.request, values).fetchone()
            if row is None:
                return _same(_read(tx, _found(tx, values)["id"]), request)
            run = _read(tx, row["id"])
            if request.opens_resync:
                open_resync(tx, rule, request.since, actor=actor, request_id=request.request_id)
            _audit(tx, run, "run.requested", actor, request.request_id)
        return run

    def get(self, run_id: int) -> Run:
        """Raises NotFound."""
        return _found_run(self._database.row(_q.get, {"run_id": run_id}), run_id)

    def list(
        self,
        *,
        provider_key: str,
        object_key: str | None,
        connection_id: int | None,
        state: str | None,
        since: datetime | None,
        before_id: int | None,
        limit: int,
    ) -> list[Run]:
        """Newest first; None does not filter; `since`: asked for then or later; `before_id` is the last id of the page before."""
        rows = self._database.rows(
            _q.list_recent,
            {
                "provider_key": provider_key,
                "object_key": object_key,
                "connection_id": connection_id,
                "state": state,
                "since": since,
                "before_id": before_id,
                "limit": limit,
            },
        )
        return [run_of(row) for row in rows]

    def last_listing(self, connection_id: int, object_key: str) -> tuple[int, int] | None:
        """(records, requests) of the last whole listing; None before the first."""
        row = self._database.row(
            _q.last_listing, {"connection_id": connection_id, "object_key": object_key}
        )
        return (row["records"], row["requests"]) if row else None

    def close(self, run_id: int, state: str, *, code: str, text: str, hint: str) -> None:
        """End an open run; no effect on an ended one."""
        self._database.execute(
            _q.close, {"run_id": run_id, "state": state, "code": code, "text": text, "hint": hint}
        )

    def waiting(self, run_id: int, text: str) -> None:
        """Say why it has not started yet."""
        self._database.execute(_q.waiting, {"run_id": run_id, "text": text})

    def cancel(self, run_id: int, *, actor: str, request_id: str | None) -> Run:
        """End a run that no stage has begun; a running one is fenced off, its finish reads the reason.

        So a stage at work stops at its next write, whatever Airflow does about its process. The Dag
        run is ended by the caller. Raises NotFound; an ended run stays as it is.
        """
        values = {
            "run_id": run_id,
            "text": f"Cancelled by {actor}.",
            "hint": "Start it again when you want it; nothing is lost.",
        }
        with self._database.transaction() as tx:
            # the lease before the run row, as every stage does
            tx.execute(_q.fence_off, {"run_id": run_id, "key": _read(tx, run_id).lease_key})
            ended = tx.execute(_q.cancel_unstarted, values).fetchone() is not None
            noted = ended or tx.execute(_q.note_cancel, values).rowcount > 0
            run = _read(tx, run_id)
            if noted:
                _audit(tx, run, "run.cancelled", actor, request_id)
        return run


def _values(request: RunRequest, rule: Rule) -> dict[str, Any]:
    return {
        "dag_id": request.dag_id,
        "rule_id": rule.id,
        "rule_revision": rule.revision,
        "connection_id": rule.connection_id,
        "provider_key": rule.provider_key,
        "object_key": rule.object_key,
        "trigger": request.trigger,
        "request_id": request.request_id,
        "params": Jsonb(request.params),
        "retry_of": request.retry_of,
    }


def _found(tx: Connection, values: dict[str, Any]) -> Row:
    row = tx.execute(_q.find_requested, values).fetchone()
    if row is None:
        raise DatabaseUnavailable(
            "The run of this Idempotency-Key vanished meanwhile.", retry_after_s=1
        )
    return row


def _same(run: Run, request: RunRequest) -> Run:
    if (run.params, run.dag_id, run.retry_of) != (request.params, request.dag_id, request.retry_of):
        raise ConflictingChange(
            f"This Idempotency-Key belongs to run {run.id}, which was asked for differently.",
            hint="Send a new Idempotency-Key with a different request.",
            code="IDEMPOTENCY_KEY_REUSED",
        )
    return run


def _read(tx: Connection, run_id: int) -> Run:
    return _found_run(tx.execute(_q.get, {"run_id": run_id}).fetchone(), run_id)


def _found_run(row: Row | None, run_id: int) -> Run:
    if row is None:
        raise NotFound(f"There is no run {run_id}.", code="RUN_UNKNOWN")
    return run_of(row)


def run_of(row: Row) -> Run:
    """From a row with every column of the run and its connection's key."""
    return Run(**{column: row[column] for column in _COLUMNS})


def _audit(tx: Connection, run: Run, action: str, actor: str, request_id: str | None) -> None:
    record(
        tx,
        actor=actor,
        action=action,
        target=f"run:{run.id}",
        detail={"of": run.lease_key, "rule_revision": run.rule_revision, "params": run.params},
        request_id=request_id,
    )
