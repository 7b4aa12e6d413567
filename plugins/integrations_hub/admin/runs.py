"""What an admin does with runs: ask for one, look, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from integrations_hub.admin.progress import Progress, progress_of
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
from integrations_hub.ports.runs import RunStore

ON_DEMAND = "hub__on_demand"
_WITH_PLAN = ("planned", "needs_confirmation")


@dataclass(frozen=True)
class Ask:
    """`mode`: one of domain.run.MODES.

    `since` (inclusive) and `until` belong to a window, aware UTC. `apply_run_id`: the run whose plan of
    changes is applied instead of reading anything. `undo_run_id`: the run that is taken back.
    """

    mode: str = "scheduled"
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False
    apply_run_id: int | None = None
    undo_run_id: int | None = None

    @property
    def writes(self) -> bool:
        """Whether local rows may change: then only an enabled rule may run it."""
        return not self.dry_run

    def params(self) -> dict[str, Any]:
        """As the Dag's typed params."""
        return {
            "mode": self.mode,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "dry_run": self.dry_run,
            "apply_run_id": self.apply_run_id,
            "undo_run_id": self.undo_run_id,
        }

    @staticmethod
    def of(params: Mapping[str, Any]) -> Ask:
        """As an earlier run was asked for."""
        return Ask(
            mode=str(params.get("mode") or "scheduled"),
            since=_instant(params.get("since")),
            until=_instant(params.get("until")),
            dry_run=bool(params.get("dry_run")),
            apply_run_id=params.get("apply_run_id"),
            undo_run_id=params.get("undo_run_id"),
        )


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

        A disabled rule may be tried without writing only (D17). Raises RuleDisabled,
        IntegrationsDisabled, ConflictingChange (key used before), or what Airflow answers; then a
        run that Airflow refused is closed, and one whose fate is unknown stays `requested`.
        """
        rule = self.rules.get(provider_key, object_key, connection_key)
        return self._ask(rule, ask, actor, idempotency_key)

    def retry(self, run_id: int, *, idempotency_key: str | None, actor: Actor) -> Run:
        """Ask for an ended run once more, in the same way (a window: the same window), linked to it.

        Raises ConflictingChange (RUN_NOT_ENDED), and as `run_now`.
        """
        run = self.runs.get(run_id)
        if not run.ended:
            raise ConflictingChange(
                f"Run {run.id} is {run.state}.",
                hint="Wait for its end, or cancel it first.",
                code="RUN_NOT_ENDED",
            )
        rule = self.rules.get(run.provider_key, run.object_key, run.connection_key)
        return self._ask(rule, Ask.of(run.params), actor, idempotency_key, retry_of=run.id)

    def resync(
        self, rule: Rule, *, since: datetime | None, idempotency_key: str | None, actor: Actor
    ) -> list[Run]:
        """Read again what changed from `since` (aware UTC; None = everything), and prove it by a sweep.

        The request and its first run are one transaction; the same key gives the same runs. Raises as
        `run_now`.
        """
        first = self._ask(
            rule, Ask("resync", since=since), actor, idempotency_key, opens_resync=True
        )
        if since is None:  # that run is a sweep itself
            return [first]
        key = f"{idempotency_key}~sweep" if idempotency_key else None
        return [first, self._ask(rule, Ask("resync"), actor, key)]

    def get(self, run_id: int) -> Run:
        """Raises NotFound."""
        return self.runs.get(run_id)

    def progress(self, run: Run) -> Progress:
        """How far it is."""
        connection = self.rules.connections.get(run.provider_key, run.connection_key)
        pace = self.rules.forecasts.requests_per_minute(connection)
        return progress_of(run, pace, self.rules.clock.now())

    def list(
        self,
        provider_key: str,
        *,
        object_key: str | None,
        connection_id: int | None,
        state: str | None,
        since: datetime | None,
        before_id: int | None,
        limit: int,
    ) -> list[Run]:
        """Newest first; None does not filter; `since`: asked for then or later."""
        return self.runs.list(
            provider_key=provider_key,
            object_key=object_key,
            connection_id=connection_id,
            state=state,
            since=since,
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
        if (
            run.state == "running"
        ):  # fence and reason first: the stage stops, the run's finish reads it
            self.runs.cancel(run_id, actor=actor.name, request_id=actor.request_id)
            actor.airflow.fail_run(run.dag_id, run.dag_run_id)
            return self.runs.get(run_id)
        # Airflow first: a closed row would not stop a plan that Airflow still starts
        actor.airflow.fail_run(run.dag_id, run.dag_run_id)
        return self.runs.cancel(run_id, actor=actor.name, request_id=actor.request_id)

    def _ask(
        self,
        rule: Rule,
        ask: Ask,
        actor: Actor,
        idempotency_key: str | None,
        *,
        retry_of: int | None = None,
        opens_resync: bool = False,
    ) -> Run:
        if not self.enabled:
            raise IntegrationsDisabled(
                "Integrations are switched off (INTEGRATIONS_ENABLED=false)."
            )
        if not rule.enabled and ask.writes:
            raise RuleDisabled(
                f"The rule of {rule.lease_key} is disabled.",
                hint="Enable the rule, or ask for a dry run.",
            )
        if ask.apply_run_id is not None:
            self._refuse_without_plan(rule, ask.apply_run_id)
        request = replace(_request(rule, ask, actor), retry_of=retry_of, opens_resync=opens_resync)
        run = self.runs.request(request, rule, actor=actor.name, idempotency_key=idempotency_key)
        if run.state == "requested":
            self._trigger(rule, run, actor)
        return self.runs.get(run.id)

    def _refuse_without_plan(self, rule: Rule, run_id: int) -> None:
        planned = self.runs.get(run_id)
        if planned.lease_key != rule.lease_key or planned.state not in _WITH_PLAN:
            raise ConflictingChange(
                f"Run {run_id} holds no plan of changes for {rule.lease_key} (it is {planned.state}).",
                hint="Choose a run of this rule that is planned or needs confirmation.",
                code="PLAN_NOT_WAITING",
            )

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


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
