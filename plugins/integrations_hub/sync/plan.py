"""plan: refuses, waits or goes on; takes the lease; pins what the later stages do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from integrations_hub.catalog import rule_form
from integrations_hub.catalog.mapping_choice import choose_mapping
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import Run, RunRequest
from integrations_hub.errors import (
    ConfigurationError,
    ConnectionNotReady,
    HubError,
    IntegrationsDisabled,
    LeaseHeld,
    RuleDisabled,
    RunMustWait,
    RunRefused,
    TransientError,
)
from integrations_hub.failpoints import hit
from integrations_hub.ports.connections import ConnectionStore
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.records import RuleStore, SettingStore
from integrations_hub.ports.runs import ResyncStore, RunStore
from integrations_hub.ports.sync import SyncStore
from integrations_hub.sync.kept import require_kept
from integrations_hub.sync.pinned import Pinned, rule_options
from integrations_hub.sync.replay import Replay
from integrations_hub.sync.stage import BETWEEN_TTL_S, STAGE_TTL_S, begin
from integrations_hub.sync.window import WindowChoice

_WAIT_S = 30.0
_WAIT_LIMIT = timedelta(hours=24)


@dataclass(frozen=True)
class Plan:
    """`run(request)` returns the id of the run row that all stages share."""

    store: SyncStore
    runs: RunStore
    rules: RuleStore
    connections: ConnectionStore
    resyncs: ResyncStore
    replay: Replay
    settings: SettingStore
    registry: Registry
    clock: Clock
    enabled: bool
    refuse_in_maintenance: Callable[[], None]

    def run(self, request: RunRequest) -> int:
        """Adopt or make the run row, take the lease, pin the plan.

        Raises a RunRefused leaf after closing the row as skipped, RunMustWait while an asked-for run
        waits for another one's lease, any other HubError after closing the row as failed.
        """
        self.refuse_in_maintenance()  # before anything is written, the run row included
        rule = self.rules.get(_rule_id(request))
        run = self.runs.adopt_or_open(request, rule)
        hit("run_started")
        try:
            rule = self._as_metadata_allows(rule)
            self._refuse(rule, run)
            self._take_lease(run, request)
            hit("lease_acquired")
            state = self.store.state(rule.connection_id, rule.object_key)
            pinned, due = self._decide(rule, run, request, state)
        except (RunMustWait, TransientError):
            raise  # the next try adopts the row
        except HubError as error:
            self._close(run, "skipped" if isinstance(error, RunRefused) else "failed", error)
            raise
        stage = begin(self.store, self.runs, run.id, "plan")
        with stage.write() as tx:
            tx.pin_plan(pinned.as_json(), state["mark"] if state else None, rule.revision)
            if due:
                tx.note_sweep_try()
        self.store.renew(run, stage.fence, BETWEEN_TTL_S)
        stage.log("run_planned", listing=pinned.listing, since=pinned.since, revision=rule.revision)
        return run.id

    def _as_metadata_allows(self, rule: Rule) -> Rule:
        """With today's defaults. Raises RuleInvalid for what no form would have saved (an edited row)."""
        obj = self.registry.get_object_catalog(rule.provider_key, rule.object_key)
        return replace(rule, body=rule_form.for_run(obj, rule.body))

    def _refuse(self, rule: Rule, run: Run) -> None:
        if not self.enabled:
            raise IntegrationsDisabled(
                "Integrations are switched off (INTEGRATIONS_ENABLED=false)."
            )
        if not rule.enabled and not run.dag_id.startswith("hub__on_demand"):
            raise RuleDisabled(f"The rule of {rule.lease_key} is disabled.")
        connection = self.connections.by_id(rule.connection_id)
        reason = connection.not_ready_because()
        if reason is not None:
            raise ConnectionNotReady(f"The connection {connection.key} cannot be used: {reason}.")

    def _take_lease(self, run: Run, request: RunRequest) -> None:
        if self.store.acquire(run, STAGE_TTL_S):
            return
        holder = self.store.lease_holder(run.lease_key)
        who = (
            f"run {holder[0]} holds it since {holder[1]:%Y-%m-%d %H:%M:%S} UTC"
            if holder
            else "it was just taken"
        )
        if not request.asked_for:
            raise LeaseHeld(f"The lease of {run.lease_key} is not free: {who}.")
        if self.clock.now() - run.created_at > _WAIT_LIMIT:
            raise LeaseHeld(f"Waited 24 hours for the lease of {run.lease_key}: {who}.")
        self.runs.waiting(run.id, f"Waiting: {who}.")
        raise RunMustWait(f"Run {run.id} waits for {run.lease_key}: {who}.", seconds=_WAIT_S)

    def _decide(
        self, rule: Rule, run: Run, request: RunRequest, state: dict[str, Any] | None
    ) -> tuple[Pinned, bool]:
        """The plan, and whether it is a sweep that nobody asked for."""
        replayed = self.replay.pinned(run, generation=rule.generation)
        if replayed is not None:
            return replayed, False
        obj = self.registry.get_object_catalog(run.provider_key, run.object_key)
        resync = self.resyncs.oldest_open(rule.connection_id, rule.object_key)
        choice = WindowChoice(rule, obj, state, resync)
        window = choice.of(request)
        options = rule_options(rule.body)
        mapping = choose_mapping(
            self.settings, rule.connection_id, obj, partial=options["partial_mapping"]
        )
        pinned = Pinned(
            listing=window.listing,
            since=window.since,
            until=window.until,
            dry_run=bool(request.params.get("dry_run") or rule.body.get("dryRun")),
            generation=rule.generation,
            rule_revision=rule.revision,
            mapping_version=mapping.version,
            lines=mapping.lines,
            left_out=mapping.left_out,
            local_entity=obj.local_entity,
            only_since=choice.only_since(),
            **options,
        )
        if pinned.listing == "kept":
            require_kept(self.store, run, pinned)
        return pinned, window.due

    def _close(self, run: Run, state: str, error: HubError) -> None:
        """Close the row; a lease this run had taken is given back."""
        holder = self.store.lease_holder(run.lease_key)
        if holder is not None and holder[0] == run.id:
            with begin(self.store, self.runs, run.id, "plan").write() as tx:
                tx.close(state, code=error.code, text=error.message, hint=error.hint)
        self.runs.close(run.id, state, code=error.code, text=error.message, hint=error.hint)


def _rule_id(request: RunRequest) -> int:
    if request.rule_id is None:
        raise ConfigurationError("The run names no rule.", code="RULE_MISSING")
    return request.rule_id
