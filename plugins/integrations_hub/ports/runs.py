"""Runs and what they leave behind: rows, marks, resyncs, changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrations_hub.domain.resync import OpenResync
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import Run, RunRequest


class RunStore(Protocol):
    """Rows of integration_run outside a fence: opening, reading, closing what never started."""

    def adopt_or_open(self, request: RunRequest, rule: Rule) -> Run:
        """The open run of (dag_id, dag_run_id), or a new row (retry_of the ended one)."""

    def request(
        self, request: RunRequest, rule: Rule, *, actor: str, idempotency_key: str | None = None
    ) -> Run:
        """A `requested` row ("run now") with its audit entry, committed before Airflow is asked.

        The same key of the same actor gives the same run, whose `dag_run_id` is hub__<run id>.
        """

    def get(self, run_id: int) -> Run: ...

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
    ) -> list[Run]: ...

    def last_listing(self, connection_id: int, object_key: str) -> tuple[int, int] | None:
        """(records, requests) of the last whole listing."""

    def close(self, run_id: int, state: str, *, code: str, text: str, hint: str) -> None:
        """End an open run; no effect on an ended one."""

    def waiting(self, run_id: int, text: str) -> None: ...

    def cancel(self, run_id: int, *, actor: str, request_id: str | None) -> Run:
        """End a run that no stage has begun, with audit; on a running one note why it will fail."""


@dataclass(frozen=True)
class State:
    """A row of integration_state. `mark` and `seed`: naive UTC in the provider's clock.

    `revision` counts every change, whoever makes it.
    """

    mark: datetime | None
    generation: int
    revision: int
    seed: datetime | None
    seeded_by: str | None
    initial_done_at: datetime | None
    resync_required: bool
    last_sweep_at: datetime | None
    proven_at: datetime | None
    proven_by: int | None
    run_id: int | None
    updated_at: datetime


class StateStore(Protocol):
    def get(self, connection_id: int, object_key: str) -> State | None:
        """None before the first run or seed."""

    def edit(
        self,
        rule: Rule,
        *,
        mark: datetime | None,
        expected_revision: int,
        actor: str,
        request_id: str | None,
    ) -> State:
        """Set the mark for the rule's generation, with audit; 0 = there is no state yet.

        Raises LeaseHeld while a run works, ConflictingChange when the state has moved.
        """

    def linked_since(self, connection_id: int, object_key: str, since: datetime) -> int:
        """Linked records whose last known change is not before `since`."""


class ResyncStore(Protocol):
    def oldest_open(self, connection_id: int, object_key: str) -> OpenResync | None: ...


@dataclass(frozen=True)
class Change:
    """One line of a run's plan of changes; `before` and `after` by column, None without a row.

    `outcome`: None = as planned once its chunk is applied.
    """

    seq: int
    external_id: str
    local_id: int | None
    action: str
    reason: str | None
    outcome: str | None
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None


class ChangeStore(Protocol):
    def page(self, run_id: int, *, after: int, limit: int, action: str | None) -> list[Change]:
        """By seq, beginning after one; `action` None takes all."""

    def rejects(self, run_id: int) -> list[dict[str, Any]]:
        """external_id, code, reason, pointer of what the run put into quarantine."""
