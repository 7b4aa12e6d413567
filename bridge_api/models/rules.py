"""Rules over the wire. The body's own schema is the catalog's `rule_schema`."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel, field_validator

from integrations_hub.admin.rules import Saved
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.schedule import summary


class RuleBody(RootModel[dict[str, JsonValue]]):
    """Judged option by option against `rule_schema`; here only what no database can keep is refused."""

    @field_validator("root")
    @classmethod
    def _storable(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        text = json.dumps(value, ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text holds half a character (a lone surrogate)") from error
        if "\\u0000" in text:
            raise ValueError("a text holds the character NUL")
        return value


class EnableRule(BaseModel):
    """`nothing_to_match`: the admin says that no local row stands for a record of the provider yet."""

    model_config = ConfigDict(extra="forbid")

    nothing_to_match: bool = False


class RuleView(BaseModel):
    """`scheduled`: whether Airflow shows this revision; null when it was not asked."""

    id: int
    provider: str
    connection: str
    object: str
    revision: int
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
