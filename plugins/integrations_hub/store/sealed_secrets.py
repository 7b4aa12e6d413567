"""Sealed secrets as rows, for who changes their key; what they say is for their owners (tokens, oauth_flows)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from integrations_hub.failpoints import hit
from integrations_hub.ports.credentials import Sealed, SealedRow
from integrations_hub.store.audit import record
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load

_q = load("sealed_secrets")


class PostgresSecretStore:
    """Fulfils ports.SecretStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def batches(self, size: int) -> Iterator[list[SealedRow]]:
        """Every secret once, by id, then the verifiers of open sign-ins; no empty batch."""
        after = 0
        while rows := self._database.rows(_q.page, {"after": after, "limit": size}):
            yield [_sealed_row(row) for row in rows]
            after = int(rows[-1]["ref"])
        flows = [_sealed_row(row) for row in self._database.rows(_q.flows)]
        for start in range(0, len(flows), size):
            yield flows[start : start + size]

    def replace(self, changed: Sequence[tuple[SealedRow, Sealed]], *, actor: str) -> int:
        """One transaction with its audit entry; how many rows were still as they were read."""
        replaced = 0
        with self._database.transaction() as tx:
            for row, sealed in changed:
                new = {"key_id": sealed.key_id, "ciphertext": sealed.ciphertext}
                statement = _q.replace_secret if row.kind == "secret" else _q.replace_flow
                replaced += tx.execute(statement, _values(row) | new).rowcount
                hit("secret_replaced")
            if replaced:
                record(
                    tx,
                    actor=actor,
                    action="secrets.rotated",
                    target=f"key:{changed[0][1].key_id}",
                    detail={"rows": replaced},
                    request_id=None,
                )
        hit("secrets_committed")
        return replaced

    def forget(self, lost: Sequence[SealedRow], *, actor: str) -> list[int]:
        """One transaction with its audit entry; ids of the connections that need a person now."""
        gone: set[int] = set()
        with self._database.transaction() as tx:
            for row in lost:
                statement = _q.forget_secret if row.kind == "secret" else _q.forget_flow
                deleted = tx.execute(statement, _values(row)).fetchone()
                if deleted is not None and row.kind == "secret":
                    gone.add(deleted["connection_id"])
            tx.execute(_q.needs_reauth, {"connection_ids": sorted(gone)})
            record(
                tx,
                actor=actor,
                action="secrets.forgotten",
                target="keys:" + ",".join(sorted({row.sealed.key_id for row in lost})),
                detail={"rows": len(lost), "connections": sorted(gone)},
                request_id=None,
            )
        return sorted(gone)


def _values(row: SealedRow) -> dict[str, object]:
    return {"ref": row.ref, "version": row.version, "old": row.sealed.ciphertext}


def _sealed_row(row: Row) -> SealedRow:
    sealed = Sealed(row["key_id"], bytes(row["ciphertext"]))
    return SealedRow(row["kind"], row["ref"], row["version"], sealed)
