"""A rule: what to sync, how and when, for one connection and object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """Minutes or cron (5 fields) in a zone; exactly one of the two is set."""

    minutes: int | None
    cron: str | None
    timezone: str = "UTC"

    @staticmethod
    def from_body(body: dict[str, Any]) -> Schedule:
        """Read the `schedule` member of a validated rule body."""
        schedule = body.get("schedule", {})
        if "cron" in schedule:
            return Schedule(None, schedule["cron"], schedule.get("timezone", "UTC"))
        return Schedule(int(schedule["every"]["minutes"]), None, "UTC")


@dataclass(frozen=True)
class RuleRevision:
    """One save of a rule. `reread`: what was decided when the change asked (None: it did not)."""

    revision: int
    generation: int
    reread: bool | None
    body: dict[str, Any]
    saved_at: datetime
    saved_by: str


@dataclass(frozen=True)
class Rule:
    """An enabled or disabled rule row joined with its connection's names. `body` is validated.

    `scheduled_since`: since when it is enabled with this schedule (aware UTC); earlier slots were never its own.
    """

    id: int
    connection_id: int
    connection_key: str
    connection_label: str
    provider_key: str
    object_key: str
    revision: int
    generation: int
    enabled: bool
    hold_reason: str | None
    scheduled_since: datetime
    body: dict[str, Any]

    @property
    def dag_id(self) -> str:
        """The id of the rule's generated Dag (D16)."""
        return f"hub__{self.provider_key}__{self.connection_key}__{self.object_key}"

    @property
    def lease_key(self) -> str:
        """One lease per connection and object."""
        return f"{self.provider_key}:{self.connection_key}:{self.object_key}"

    @property
    def schedule(self) -> Schedule:
        """When scheduled runs start."""
        return Schedule.from_body(self.body)
