"""The append-only record of who did what. Entries stand at the end of the transaction of what they tell of.

The table's trigger numbers and chains them under one row lock, which lasts until the writer commits.
"""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.domain.audit import AuditEntry, AuditHead, AuditProblem, AuditVerdict
from integrations_hub.store.database import Connection, Database, Row
from integrations_hub.store.statements import load

_q = load("audit")
_GENESIS = "0" * 64
_MOST_TOLD = 100


class PostgresAuditStore:
    """Fulfils ports.AuditStore; `add` is for entries without another write (a refused sign-in)."""

    def __init__(self, database: Database, batch: int = 20_000) -> None:
        self._database = database
        self._batch = batch

    def add(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, Any],
        request_id: str | None,
    ) -> None:
        """One entry in a transaction of its own."""
        with self._database.transaction() as tx:
            record(
                tx, actor=actor, action=action, target=target, detail=detail, request_id=request_id
            )

    def page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
    ) -> list[AuditEntry]:
        """Newest first; `before` is the last seq of the page before."""
        rows = self._database.rows(
            _q.page,
            {"before": before, "limit": limit, "actor": actor, "action": action, "target": target},
        )
        return [AuditEntry(**row) for row in rows]

    def head(self) -> AuditHead:
        """The last entry as the chain remembers it."""
        row = self._database.row(_q.head)
        return AuditHead(**row) if row else AuditHead(0, _GENESIS)

    def verify(self, noted: AuditHead | None = None) -> AuditVerdict:
        """Read the whole chain up to its head, in batches.

        `noted`: a head from an earlier log line; without it a chain that was rewritten as a whole, its
        head included, looks sound.
        """
        head = self.head()
        problems: list[AuditProblem] = []
        entries, last = 0, AuditHead(0, _GENESIS)
        while last.seq < head.seq:
            rows = self._database.rows(
                _q.verify_page,
                {"after": last.seq, "hash": last.hash, "upto": head.seq, "limit": self._batch},
            )
            if not rows:
                break
            for row in rows:
                problems.extend(_problems(row))
            entries += rows[-1]["entries"]
            last = AuditHead(rows[-1]["seq"], rows[-1]["hash"])
        problems.extend(self._at_the_end(head, last, noted))
        return AuditVerdict(entries, head, problems[:_MOST_TOLD])

    def _at_the_end(
        self, head: AuditHead, last: AuditHead, noted: AuditHead | None
    ) -> list[AuditProblem]:
        found = []
        if last.seq < head.seq:
            text = f"Entries {last.seq + 1} to {head.seq} are missing at the end."
            found.append(AuditProblem("tail_dropped", last.seq + 1, text))
        elif last.hash != head.hash:
            text = f"Entry {head.seq} is not the one that the head remembers."
            found.append(AuditProblem("replaced", head.seq, text))
        beyond = self._database.row(_q.beyond)
        # an entry written since the head was read is no problem: the head moved with it
        if beyond is not None and self.head() == head:
            text = f"Entry {beyond['seq']} lies beyond the head."
            found.append(AuditProblem("replaced", beyond["seq"], text))
        if noted is not None and noted.seq:
            row = self._database.row(_q.hash_of, {"seq": noted.seq})
            if row is None or row["hash"] != noted.hash:
                text = (
                    f"Entry {noted.seq} is not the one whose hash was noted: the log was rewritten."
                )
                found.append(AuditProblem("rewritten", noted.seq, text))
        return found


def record(
    tx: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    detail: dict[str, Any],
    request_id: str | None,
) -> None:
    """One entry inside the caller's transaction, as its last statement: both are kept, or neither."""
    tx.execute(
        _q.add,
        {
            "actor": actor,
            "action": action,
            "target": target,
            "detail": Jsonb(detail),
            "request_id": request_id,
        },
    )


def _problems(row: Row) -> list[AuditProblem]:
    """What is wrong with one entry; empty when nothing is."""
    seq, first = row["seq"], row["seq_before"] + 1
    found = []
    if seq != first:
        which = f"Entry {first} is" if first == seq - 1 else f"Entries {first} to {seq - 1} are"
        found.append(AuditProblem("missing", first, f"{which} missing."))
    elif row["replaced"]:
        found.append(AuditProblem("replaced", seq - 1, f"Entry {seq - 1} was replaced."))
    if row["edited"]:
        text = f"Entry {seq} is not as it was written."
        found.append(AuditProblem("edited", seq, text))
    return found
