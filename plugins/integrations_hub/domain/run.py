"""A run: one execution of a rule, and the values its stages hand to each other through the run row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

ENDED = (
    "succeeded",
    "succeeded_with_rejects",
    "succeeded_partial_mapping",
    "planned",
    "needs_confirmation",
    "skipped",
    "incomplete",
    "failed",
    "lost",
    "cancelled",
)
Mode = Literal["scheduled", "full", "window", "resync", "sweep", "remap"]
MODES: tuple[str, ...] = get_args(Mode)
CANCELLED = "CANCELLED"  # error code of a run that a person ended
GOOD = (
    "succeeded",
    "succeeded_with_rejects",
    "succeeded_partial_mapping",
    "planned",
    "needs_confirmation",
    "skipped",
)
STAGES = ("plan", "fetch", "filter_parents", "map_fields", "upsert", "finish")
COUNTS = (
    "pages",
    "records",
    "children",
    "created",
    "updated",
    "linked",
    "inactivated",
    "revived",
    "out_of_scope",
    "removed",
    "drifted",
    "unchanged",
    "rejected",
    "review",
    "skipped",
    "requests",
)
WRITTEN = ("created", "updated", "linked", "inactivated", "revived", "out_of_scope", "removed")


@dataclass(frozen=True)
class RunRequest:
    """Who asks for a run and how. `asked_for` runs wait for a held lease, scheduled ones skip.

    `opens_resync`: with the run's row a resync request is made, for what changed from `since` on.
    """

    dag_id: str
    dag_run_id: str
    rule_id: int | None
    trigger: str  # scheduled | manual | backfill | on_demand
    params: dict[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    requested_by: str | None = None
    request_id: str | None = None
    retry_of: int | None = None
    opens_resync: bool = False

    @property
    def asked_for(self) -> bool:
        """True when a person or a backfill wants exactly this run."""
        return self.trigger != "scheduled"


@dataclass(frozen=True)
class Run:
    """A row of integration_run. Marks are the provider's naive UTC stamps; instants are aware UTC."""

    id: int
    dag_id: str
    dag_run_id: str
    retry_of: int | None
    rule_id: int | None
    rule_revision: int | None
    connection_id: int
    connection_key: str
    provider_key: str
    object_key: str
    trigger: str
    requested_by: str | None
    request_id: str | None
    params: dict[str, Any]
    plan: dict[str, Any]
    state: str
    stage: str | None
    fence: int | None
    mark_from: datetime | None
    mark_to: datetime | None
    listing: dict[str, Any]
    witness: dict[str, Any] | None
    pages: int
    records: int
    children: int
    created: int
    updated: int
    linked: int
    inactivated: int
    revived: int
    out_of_scope: int
    removed: int
    drifted: int
    unchanged: int
    rejected: int
    review: int
    skipped: int
    requests: int
    warnings: list[str]
    error_code: str | None
    error_text: str | None
    error_hint: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stage_times: dict[str, str]

    @property
    def lease_key(self) -> str:
        """One lease per connection and object."""
        return f"{self.provider_key}:{self.connection_key}:{self.object_key}"

    @property
    def ended(self) -> bool:
        """True once the run has an outcome; it never changes after that."""
        return self.ended_at is not None

    @property
    def hold(self) -> dict[str, str] | None:
        """Why the run asks a person after map_fields instead of writing: code, text, hint (rule 7)."""
        hold: dict[str, str] | None = self.listing.get("hold")
        return hold

    def counts(self) -> dict[str, int]:
        """The counters by name, for summaries."""
        return {name: int(getattr(self, name)) for name in COUNTS}
