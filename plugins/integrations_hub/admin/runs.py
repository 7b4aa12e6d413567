"""What an admin does with runs: ask for one, look, cancel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations_hub.admin.rules import Actor, Rules
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import Run, RunRequest
from integrations_hub.errors import (
    ConflictingChange,
    HubError,
    IntegrationsDisabled,
    RuleDisabled,
    TransientError,
)
from integrations_hub.ports.records import RunStore

ON_DEMAND = "hub__on_demand"


@dataclass(frozen=True)
class Ask:
    """`mode`: scheduled | full | window. `since` (inclusive) and `until` belong to a window, aware UTC."""

    mode: str = "scheduled"
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False

    def params(self) -> dict[str, Any]:
        """As the Dag's typed params."""
        return {
            "mode": self.mode,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True)
class Runs:
    """`enabled`: INTEGRATIONS_ENABLED."""

    runs: RunStore
    rules: Rules
    enabled: bool

    def run_now(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        ask: Ask,
        idempotency_key: str | None,
        actor: Actor,
    ) -> Run:
        """The row first, then Airflow: a Dag run of the same name is never made twice.

        A disabled rule may be tried as a dry run only (D17). Raises RuleDisabled,
        IntegrationsDisabled, ConflictingChange (key used before), or what Airflow answers; then a
        run that Airflow refused is closed, and one whose fate is unknown stays `requested`.
        """
        if not self.enabled:
            raise IntegrationsDisabled(
                "Integrations are switched off (INTEGRATIONS_ENABLED=false)."
            )
        rule = self.rules.get(provider_key, object_key, connection_key)
        if not rule.enabled and not ask.dry_run:
            raise RuleDisabled(
                f"The rule of {rule.lease_key} is disabled.",
                hint="Enable the rule, or ask for a dry run.",
            )
        run = self.runs.request(
            _request(rule, ask, actor), rule, actor=actor.name, idempotency_key=idempotency_key
        )
        if run.state == "requested":
            self._trigger(rule, run, actor)
        return self.runs.get(run.id)

    def get(self, run_id: int) -> Run:
        """Raises NotFound."""
        return self.runs.get(run_id)

    def list(
        self,
        provider_key: str,
        *,
        object_key: str | None,
        connection_id: int | None,
        state: str | None,
        before_id: int | None,
        limit: int,
    ) -> list[Run]:
        """Newest first; None does not filter."""
        return self.runs.list(
            provider_key=provider_key,
            object_key=object_key,
            connection_id=connection_id,
            state=state,
            before_id=before_id,
            limit=limit,
        )

    def cancel(self, run_id: int, *, actor: Actor) -> Run:
        """End the Dag run; its finish closes the run. Raises ConflictingChange when it has ended."""
        run = self.runs.get(run_id)
        if run.ended:
            raise ConflictingChange(
                f"Run {run.id} has ended as {run.state}.",
                hint="There is nothing left to cancel.",
                code="RUN_ENDED",
            )
        if run.state == "running":  # the reason first: the run's own finish reads it
            self.runs.cancel(run_id, actor=actor.name, request_id=actor.request_id)
            actor.airflow.fail_run(run.dag_id, run.dag_run_id)
            return self.runs.get(run_id)
        # Airflow first: a closed row would not stop a plan that Airflow still starts
        actor.airflow.fail_run(run.dag_id, run.dag_run_id)
        return self.runs.cancel(run_id, actor=actor.name, request_id=actor.request_id)

    def _trigger(self, rule: Rule, run: Run, actor: Actor) -> None:
        conf = {name: value for name, value in run.params.items() if value is not None}
        if run.dag_id == ON_DEMAND:
            conf |= {
                "provider": rule.provider_key,
                "connection": rule.connection_key,
                "object": rule.object_key,
            }
        try:
            actor.airflow.trigger(run.dag_id, run.dag_run_id, conf)
        except TransientError:
            raise
        except HubError as error:
            self.runs.close(run.id, "failed", code=error.code, text=error.message, hint=error.hint)
            raise


def _request(rule: Rule, ask: Ask, actor: Actor) -> RunRequest:
    return RunRequest(
        dag_id=rule.dag_id if rule.enabled else ON_DEMAND,
        dag_run_id="",  # the store names it after the row's id
        rule_id=rule.id,
        trigger="manual" if rule.enabled else "on_demand",
        params=ask.params(),
        since=ask.since,
        until=ask.until,
        requested_by=actor.name,
        request_id=actor.request_id,
    )
