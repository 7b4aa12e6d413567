"""Rules, their history and their switch."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from integrations_hub.domain.rule import Rule, RuleRevision
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.store.audit import record
from integrations_hub.store.database import Connection, Database, Row
from integrations_hub.store.state import seed_mark
from integrations_hub.store.statements import load

_q = load("rules")


class PostgresRuleStore:
    """Fulfils ports.RuleStore. A connection and object have one rule, saved again and again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        *,
        connection_id: int,
        object_key: str,
        body: dict[str, Any],
        actor: str,
        request_id: str | None,
        expected_revision: int | None,
        reread: bool | None = None,
    ) -> Rule:
        """A first or a next revision; `expected_revision` 0 means "there is none yet", None "any".

        `reread` True begins a new generation: the next run is a first run again. False and None (the
        change did not ask) go on from the mark. Raises ConflictingChange when another revision is current, NotFound without the connection.
        """
        names = {"connection_id": connection_id, "object_key": object_key}
        with self._database.transaction() as tx:
            if tx.execute(_q.lock_connection, names).fetchone() is None:
                raise NotFound(f"There is no connection {connection_id}.")
            known = tx.execute(_q.find_id, names).fetchone()
            _check_revision(known["revision"] if known else 0, expected_revision)
            values = names | {"body": Jsonb(body), "actor": actor, "reread": reread}
            saved = _one(
                tx.execute(_q.revise, values | {"rule_id": known["id"]})
                if known
                else tx.execute(_q.insert_rule, values)
            )
            tx.execute(_q.keep_revision, values | {"rule_id": saved["id"]})
            rule = _read(tx, saved["id"])
            if rule.enabled:
                _seed(tx, rule)
            detail = {"body": body, "generation": rule.generation, "reread": reread}
            _audit(tx, rule, "rule.saved", detail, actor, request_id)
        return rule

    def get(self, rule_id: int) -> Rule:
        """Raises NotFound."""
        with self._database.transaction() as tx:
            return _read(tx, rule_id)

    def find(self, connection_id: int, object_key: str) -> Rule | None:
        """The rule of a connection and object, enabled or not; None before the first save."""
        with self._database.transaction() as tx:
            names = {"connection_id": connection_id, "object_key": object_key}
            known = tx.execute(_q.find_id, names).fetchone()
            return _read(tx, known["id"]) if known else None

    def revisions(self, rule_id: int, *, before: int | None, limit: int) -> list[RuleRevision]:
        """Newest first; `before` is the last revision of the page before."""
        values = {"rule_id": rule_id, "before": before, "limit": limit}
        return [RuleRevision(**row) for row in self._database.rows(_q.revisions, values)]

    def has_read(self, rule_id: int) -> bool:
        """Whether runs have read, or are reading, what the rule syncs."""
        row = self._database.row(_q.has_read, {"rule_id": rule_id})
        return bool(row and row["has_read"])

    def list_enabled(self) -> list[Rule]:
        """By id; `hold_reason` also tells of a connection that waits for a person."""
        return [Rule(**row) for row in self._database.rows(_q.read, {"rule_id": None})]

    def set_enabled(
        self, rule_id: int, enabled: bool, *, actor: str, request_id: str | None
    ) -> Rule:
        """Switch; a no-op without an audit entry when it stands so already.

        Switched off, its open runs are cancelled. A rule that reads from now on has its "now" in this transaction (D6).
        """
        try:
            with self._database.transaction() as tx:
                known = tx.execute(_q.lock_rule, {"rule_id": rule_id}).fetchone()
                if known is not None and known["enabled"] != enabled:
                    tx.execute(
                        _q.set_enabled, {"rule_id": rule_id, "enabled": enabled, "actor": actor}
                    )
                    rule = _read(tx, rule_id)
                    if not enabled:
                        _stop_runs(tx, rule, actor)
                    seeded = enabled and _seed(tx, rule)
                    action = "rule.enabled" if enabled else "rule.disabled"
                    detail = {"mark_seeded": True} if seeded else {}
                    _audit(tx, rule, action, detail, actor, request_id)
                return _read(tx, rule_id)
        except psycopg.errors.UniqueViolation as error:
            raise ConflictingChange(
                "Another rule of this connection and object is enabled.",
                hint="Disable that rule first.",
                code="RULE_ENABLED_TWICE",
            ) from error


def _stop_runs(tx: Connection, rule: Rule, actor: str) -> None:
    """As a cancel of each: what has not begun ends, a stage at work stops at its next write."""
    values = {
        "key": rule.lease_key,
        "rule_id": rule.id,
        "text": f"The rule was disabled by {actor}.",
        "hint": "Enable the rule; its next run reads what this one would have read.",
    }
    for statement in (_q.fence_off, _q.cancel_unstarted, _q.note_cancel):
        tx.execute(statement, values)


def _seed(tx: Connection, rule: Rule) -> bool:
    """The mark of a rule that reads from now on; a later generation begins where the first one did."""
    if rule.body.get("initialSyncMode") != "delta_only_from_now":
        return False
    names = {"connection_id": rule.connection_id, "object_key": rule.object_key}
    row = tx.execute(_q.seed_of, names).fetchone()
    return seed_mark(
        tx,
        rule.connection_id,
        rule.object_key,
        rule.generation,
        seeded_by="rule",
        mark=row["seed"] if row else None,
    )


def _check_revision(current: int, expected: int | None) -> None:
    if expected is not None and expected != current:
        raise ConflictingChange(
            f"The rule is at revision {current}; your change was made from revision {expected}.",
            code="REVISION_CONFLICT",
        )


def _read(tx: Connection, rule_id: int) -> Rule:
    row = tx.execute(_q.read, {"rule_id": rule_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no rule {rule_id}.", code="RULE_UNKNOWN")
    return Rule(**row)


def _audit(
    tx: Connection,
    rule: Rule,
    action: str,
    detail: dict[str, Any],
    actor: str,
    request_id: str | None,
) -> None:
    record(
        tx,
        actor=actor,
        action=action,
        target=f"rule:{rule.lease_key}",
        detail={"rule_id": rule.id, "revision": rule.revision, **detail},
        request_id=request_id,
    )


def _one(cursor: psycopg.Cursor[Row]) -> Row:
    row = cursor.fetchone()
    if row is None:
        raise NotFound("The rule was removed meanwhile.")
    return row
