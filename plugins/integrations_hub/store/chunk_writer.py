"""Writing a range of a change set inside the caller's transaction; a row that the tables refuse waits for review."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import SimpleNamespace
from typing import Any

import psycopg

from integrations_hub.store.database import Connection

_TOUCHING = ("update", "link", "inactivate", "revive", "out_of_scope", "remove", "unlink")
# in this order; each only where the range holds one of its actions
_WRITES = {
    "drop_dead_links": ("link",),
    "create_chunk": ("create",),
    "link_chunk": ("link",),
    "update_chunk": (*_TOUCHING, "skip"),
    "remove_chunk": ("remove", "unlink"),
}
# what one row can be to blame for: a constraint, a value, an index entry that is too long
_REFUSALS = (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded)


class ChunkWriter:
    """`values` hold what every statement of the chunk is given: the run, its rules and their policies."""

    def __init__(self, tx: Connection, queries: SimpleNamespace, values: Mapping[str, Any]) -> None:
        self._tx, self._queries, self._values = tx, queries, values

    def apply(self, first_seq: int, last_seq: int, *, exactly: bool = False) -> dict[str, int]:
        """Lock, decide again what moved, write; rows per action, and how many were refused.

        `exactly`: what moved since it was planned is left alone instead (drifted).
        """
        planned = self._counts(first_seq, last_seq)
        touched = sum(planned.get(action, 0) for action in _TOUCHING)
        as_planned = not exactly
        if exactly:
            self._run(self._queries.lock_chunk, first_seq, last_seq)
            self._run(self._queries.mark_drifted, first_seq, last_seq)
        elif touched:
            as_planned = not self._lock(first_seq, last_seq, touched)
        refused = self._write(first_seq, last_seq, planned.keys())
        return self._counts(first_seq, last_seq) if refused or not as_planned else planned

    def _lock(self, first_seq: int, last_seq: int, touched: int) -> bool:
        """Whether a row had moved, so that its change was decided again."""
        rows = self._run(self._queries.lock_chunk, first_seq, last_seq).fetchall()
        seqs = [row["seq"] for row in rows if row["moved"]]
        if len(rows) < touched:
            gone = self._run(self._queries.vanished_in_chunk, first_seq, last_seq).fetchall()
            seqs += [row["seq"] for row in gone]
        if seqs:
            self._run(self._queries.redecide, first_seq, last_seq, seqs=seqs)
        return bool(seqs)

    def _counts(self, first_seq: int, last_seq: int) -> dict[str, int]:
        rows = self._run(self._queries.chunk_counts, first_seq, last_seq).fetchall()
        return {row["action"]: int(row["n"]) for row in rows}

    def _write(self, first_seq: int, last_seq: int, actions: Set[str]) -> int:
        """In a savepoint; what is refused is halved until the row to blame is alone. Returns how many were."""
        try:
            with self._tx.transaction():
                for statement, serves in _WRITES.items():
                    if not actions.isdisjoint(serves):
                        self._run(getattr(self._queries, statement), first_seq, last_seq)
        except _REFUSALS as error:
            if first_seq == last_seq:
                self._run(self._queries.refuse_change, first_seq, last_seq, reason=_reason(error))
                return 1
            middle = (first_seq + last_seq) // 2
            halves = ((first_seq, middle), (middle + 1, last_seq))
            return sum(self._write(*half, actions) for half in halves)
        return 0

    def _run(self, sql: str, first_seq: int, last_seq: int, **more: Any) -> psycopg.Cursor[Any]:
        seqs = {"first_seq": first_seq, "last_seq": last_seq}
        return self._tx.execute(sql, {**self._values, **seqs, **more})


def _reason(error: psycopg.Error) -> str:
    """Names the constraint, never a value."""
    name = error.diag.constraint_name or error.diag.column_name or type(error).__name__
    return f"the database refuses it: {name} of {error.diag.table_name or 'the table'}"
