"""Rules over the wire. The body's own schema is the catalog's `rule_schema`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel, field_validator

from bridge_api.models.storable import storable
from integrations_hub.admin.rules import Saved, Upcoming
from integrations_hub.domain.rule import Rule, RuleRevision
from integrations_hub.domain.rule_change import Difference
from integrations_hub.domain.schedule import summary


class RuleBody(RootModel[dict[str, JsonValue]]):
    """Judged option by option against `rule_schema`; here only what no database can keep is refused."""

    _storable = field_validator("root")(storable)


class EnableRule(BaseModel):
    """`nothing_to_match`: the admin says that no local row stands for a record of the provider yet."""

    model_config = ConfigDict(extra="forbid")

    nothing_to_match: bool = False


class Change(BaseModel):
    """What a JSON pointer held, and what it holds; null where there was or is nothing."""

    pointer: str
    before: JsonValue
    after: JsonValue


class Revision(BaseModel):
    """One save. `reread`: the decision, where the change asked. `diff`: against the revision before."""

    revision: int
    generation: int
    reread: bool | None
    saved_at: datetime
    saved_by: str
    diff: list[Change]
    body: dict[str, Any]

    @classmethod
    def of(cls, one: RuleRevision, diff: list[Difference]) -> Revision:
        """With its changes."""
        return cls(diff=[Change(**asdict(change)) for change in diff], **asdict(one))


class RevisionPage(BaseModel):
    """Newest first. `next_before`: the `before` of the next page, null on the last one."""

    items: list[Revision]
    next_before: int | None


class NextRuns(BaseModel):
    """`runs`: by the schedule, whether it is on hold or not. `airflow_next`: null on hold or paused."""

    enabled: bool
    hold_reason: str | None
    schedule_summary: str
    runs: list[datetime]
    airflow_next: datetime | None

    @classmethod
    def of(cls, upcoming: Upcoming) -> NextRuns:
        """Of one rule."""
        return cls(
            enabled=upcoming.rule.enabled,
            hold_reason=upcoming.rule.hold_reason,
            schedule_summary=summary(upcoming.rule.schedule),
            runs=upcoming.runs,
            airflow_next=upcoming.airflow_next,
        )


class RuleView(BaseModel):
    """`scheduled`: whether Airflow shows this revision; null when it was not asked."""

    id: int
    provider: str
    connection: str
    object: str
    revision: int
    generation: int
    enabled: bool
    hold_reason: str | None
    dag_id: str
    schedule_summary: str
    scheduled: bool | None
    body: dict[str, Any]

    @classmethod
    def of(cls, rule: Rule, scheduled: bool | None = None) -> RuleView:
        """The rule as it stands."""
        return cls(
            id=rule.id,
            provider=rule.provider_key,
            connection=rule.connection_key,
            object=rule.object_key,
            revision=rule.revision,
            generation=rule.generation,
            enabled=rule.enabled,
            hold_reason=rule.hold_reason,
            dag_id=rule.dag_id,
            schedule_summary=summary(rule.schedule),
            scheduled=scheduled,
            body=rule.body,
        )

    @classmethod
    def saved(cls, saved: Saved) -> RuleView:
        """The rule after a change."""
        return cls.of(saved.rule, saved.scheduled)
