"""Rows that admins act on, one store per noun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrations_hub.domain.audit import AuditEntry, AuditHead, AuditVerdict
from integrations_hub.domain.rule import Rule, RuleRevision


class RuleStore(Protocol):
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
        """Insert or a new revision, with history and audit, in one transaction.

        `reread` True begins a new generation of the state.
        """

    def get(self, rule_id: int) -> Rule: ...

    def find(self, connection_id: int, object_key: str) -> Rule | None: ...

    def revisions(self, rule_id: int, *, before: int | None, limit: int) -> list[RuleRevision]: ...

    def has_read(self, rule_id: int) -> bool:
        """Whether runs have read, or are reading, what the rule syncs."""

    def list_enabled(self) -> list[Rule]: ...

    def set_enabled(
        self, rule_id: int, enabled: bool, *, actor: str, request_id: str | None
    ) -> Rule: ...


class AuditStore(Protocol):
    def add(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, Any],
        request_id: str | None,
    ) -> None: ...

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

    def verify(self, noted: AuditHead | None = None) -> AuditVerdict:
        """Read the whole chain; `noted` is a head that an earlier log line told."""


@dataclass(frozen=True)
class Setting:
    """Settings of a connection's object; `revision` counts from 1."""

    connection_id: int
    object_key: str
    settings: dict[str, Any]
    schema_version: str
    revision: int
    updated_at: datetime
    updated_by: str


class SettingStore(Protocol):
    def get(self, connection_id: int, object_key: str) -> Setting | None:
        """None before the first save."""

    def save(
        self,
        *,
        connection_id: int,
        object_key: str,
        settings: dict[str, Any],
        schema_version: str,
        expected_revision: int,
        actor: str,
        request_id: str | None,
    ) -> Setting:
        """Raises ConflictingChange when somebody saved in between."""


@dataclass(frozen=True)
class Heartbeat:
    """`age_s` by the database's clock."""

    name: str
    at: datetime
    age_s: float
    detail: dict[str, Any]


class HeartbeatStore(Protocol):
    def beat(self, name: str, detail: dict[str, Any]) -> None: ...

    def read_all(self) -> list[Heartbeat]: ...
