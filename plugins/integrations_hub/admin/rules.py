"""What an admin does with rules: save, look back and ahead, enable, disable; each with its Dag in Airflow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from integrations_hub.admin.connections import Connections
from integrations_hub.admin.forecast import Forecasts
from integrations_hub.catalog import rule_form
from integrations_hub.catalog.mapping_choice import choose_mapping
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.rule import Rule, RuleRevision
from integrations_hub.domain.rule_change import Difference, Reason, differences, reread_reasons
from integrations_hub.domain.schedule import next_run_after
from integrations_hub.errors import ConflictingChange, NotFound, TransientError
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.projects import LocalProjectStore
from integrations_hub.ports.records import RuleStore, SettingStore

VISIBLE_WITHIN_S = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Actor:
    """Who acts, under which request, and Airflow as that person reaches it."""

    name: str
    request_id: str | None
    airflow: AirflowClient


@dataclass(frozen=True)
class Saved:
    """`scheduled`: Airflow shows this revision; None for a disabled rule, which has no Dag."""

    rule: Rule
    scheduled: bool | None


@dataclass(frozen=True)
class Upcoming:
    """`runs`: the next ones by the schedule, jitter included, hold or not; empty without a Dag.

    `airflow_next`: what Airflow itself has noted; None while it has none (hold, pause, no Dag).
    """

    rule: Rule
    runs: list[datetime]
    airflow_next: datetime | None


@dataclass(frozen=True)
class Rules:
    """One rule per connection and object."""

    rules: RuleStore
    connections: Connections
    projects: LocalProjectStore
    registry: Registry
    clock: Clock
    forecasts: Forecasts
    settings: SettingStore

    def get(self, provider_key: str, object_key: str, connection_key: str | None) -> Rule:
        """As today's form reads it. Raises NotFound before the first save."""
        obj = self.registry.get_object_catalog(provider_key, object_key)
        connection = self.connections.pick(provider_key, connection_key)
        rule = self._find(obj, connection)
        if rule is None:
            raise NotFound(
                f"{connection.label} has no rule for {object_key} yet.",
                hint="Save one first.",
                code="RULE_UNKNOWN",
            )
        return rule

    def save(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        body: Mapping[str, Any],
        expected_revision: int | None,
        reread: bool | None,
        actor: Actor,
    ) -> Saved:
        """Validate and keep the next revision; of an enabled rule Airflow then shows it.

        `reread`: whether a change of behaviour reads everything again (D16); it counts only where the
        change asks for it. Raises RuleInvalid with all problems, ConflictingChange when somebody
        saved in between (detail: what is different now) or the decision is missing (REREAD_DECISION).
        """
        obj = self.registry.get_object_catalog(provider_key, object_key)
        connection = self.connections.pick(provider_key, connection_key)
        filled = rule_form.validate(obj, body, now=self.clock.now())
        current = self._find(obj, connection)
        if current is not None:
            _refuse_overtaken(current, expected_revision, filled)
            reasons = reread_reasons(current.body, filled)
            reread = self.decided(connection, current, reasons, reread)
            expected_revision = current.revision  # what the decision was made from
        rule = self.rules.save(
            connection_id=connection.id,
            object_key=object_key,
            body=filled,
            actor=actor.name,
            request_id=actor.request_id,
            expected_revision=expected_revision,
            reread=reread if current is not None else None,
        )
        return Saved(rule, _show(rule, actor.airflow) if rule.enabled else None)

    def revisions(
        self, rule: Rule, *, before: int | None, limit: int
    ) -> list[tuple[RuleRevision, list[Difference]]]:
        """Newest first, each with what it changed; the first revision changed nothing."""
        obj = self.registry.get_object_catalog(rule.provider_key, rule.object_key)
        found = [
            replace(one, body=rule_form.effective(obj, one.body))
            for one in self.rules.revisions(rule.id, before=before, limit=limit + 1)
        ]
        older = [one.body for one in found[1:]]
        if len(older) < len(found):  # the oldest of all has nothing to differ from
            older.append(found[-1].body)
        pairs = zip(found, older, strict=True)
        return [(one, differences(base, one.body)) for one, base in pairs][:limit]

    def revision(self, rule: Rule, number: int) -> tuple[RuleRevision, list[Difference]]:
        """One of them; to go back to it, save its body. Raises NotFound."""
        found = self.revisions(rule, before=number + 1, limit=1)
        if not found or found[0][0].revision != number:
            raise NotFound(f"The rule has no revision {number}.", code="REVISION_UNKNOWN")
        return found[0]

    def upcoming(self, rule: Rule, count: int, airflow: AirflowClient) -> Upcoming:
        """The next `count` runs; what Airflow says beside them, unless it does not answer."""
        runs: list[datetime] = []
        if not rule.enabled:
            return Upcoming(rule, runs, None)
        at = self.clock.now()
        for _ in range(count):
            at = next_run_after(rule.schedule, rule.dag_id, at)
            runs.append(at)
        try:
            noted = airflow.next_run(rule.dag_id)
        except TransientError as error:
            log.warning("next_run_unknown dag_id=%s code=%s", rule.dag_id, error.code)
            noted = None
        return Upcoming(rule, runs, noted)

    def enable(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        nothing_to_match: bool,
        actor: Actor,
    ) -> Saved:
        """Give the rule its pool and its Dag. Repeating it is harmless.

        Raises ConflictingChange (MATCHING_FIRST) while local projects were never matched, unless the
        admin says that there is nothing to match (D17), and MappingStale for a mapping out of date.
        """
        rule = self.get(provider_key, object_key, connection_key)
        if not rule.enabled and not nothing_to_match:
            self._refuse_unmatched(rule)
        connection = self.connections.get(provider_key, rule.connection_key)
        self._refuse_stale(rule)
        # first: a Dag whose pool is missing waits for ever without a word (docs/architecture.md)
        self.connections.show_in_airflow(connection, actor.airflow)
        rule = self.rules.set_enabled(rule.id, True, actor=actor.name, request_id=actor.request_id)
        return Saved(rule, _show(rule, actor.airflow, unpause=True))

    def disable(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        actor: Actor,
    ) -> Saved:
        """Pause the Dag and end its runs, then switch the rule off. Repeating it is harmless.

        In this order: a run of a Dag that vanished would hang in Airflow for ever.
        """
        rule = self.get(provider_key, object_key, connection_key)
        actor.airflow.set_paused(rule.dag_id, True)
        actor.airflow.fail_active_runs(rule.dag_id)
        rule = self.rules.set_enabled(rule.id, False, actor=actor.name, request_id=actor.request_id)
        try:
            actor.airflow.reparse()
        except TransientError as error:
            log.warning("reparse_not_asked dag_id=%s code=%s", rule.dag_id, error.code)
        return Saved(rule, None)

    def _find(self, obj: ObjectMeta, connection: Connection) -> Rule | None:
        rule = self.rules.find(connection.id, obj.key)
        return replace(rule, body=rule_form.effective(obj, rule.body)) if rule else None

    def decided(
        self,
        connection: Connection,
        rule: Rule,
        reasons: Sequence[Reason],
        reread: bool | None,
    ) -> bool | None:
        """The decision where `reasons` need one; None where they do not, or nothing was read yet.

        Raises ConflictingChange (REREAD_DECISION) with reasons and forecast while it is missing.
        """
        if not reasons or not self.rules.has_read(rule.id):
            return None
        if reread is None:
            raise ConflictingChange(
                "This change leaves what was read before as the old rule made it: "
                + "; ".join(reason.text for reason in reasons)
                + ".",
                hint="Save again with reread=true to read everything again, or with reread=false to go on.",
                code="REREAD_DECISION",
                detail={
                    "reasons": [asdict(reason) for reason in reasons],
                    "forecast": asdict(self.forecasts.of_everything(connection, rule.object_key)),
                },
            )
        return reread

    def _refuse_stale(self, rule: Rule) -> None:
        obj = self.registry.get_object_catalog(rule.provider_key, rule.object_key)
        partial = rule.body.get("onStaleMapping") == "partial"
        choose_mapping(self.settings, rule.connection_id, obj, partial=partial)

    def _refuse_unmatched(self, rule: Rule) -> None:
        obj = self.registry.get_object_catalog(rule.provider_key, rule.object_key)
        if obj.local_entity != "project":
            return
        unmatched = self.projects.unlinked_count(rule.provider_key)
        if unmatched:
            raise ConflictingChange(
                f"{unmatched} local projects were never matched with {rule.connection_label}: "
                "the first run could load them a second time.",
                hint="Match them first, or confirm that there is nothing to match.",
                code="MATCHING_FIRST",
            )


def _refuse_overtaken(current: Rule, expected: int | None, body: Mapping[str, Any]) -> None:
    if expected is None or expected == current.revision:
        return
    raise ConflictingChange(
        f"The rule is at revision {current.revision}; your change was made from revision {expected}.",
        code="REVISION_CONFLICT",
        detail={
            "current_revision": current.revision,
            "diff": [asdict(one) for one in differences(current.body, body)],
        },
    )


def _show(rule: Rule, airflow: AirflowClient, *, unpause: bool = False) -> bool:
    """Whether Airflow shows the revision in time. It is saved whatever Airflow says."""
    try:
        airflow.reparse()
        visible = airflow.wait_for_dag(
            rule.dag_id, f"rev:{rule.revision}", timeout_s=VISIBLE_WITHIN_S
        )
        if unpause:
            airflow.set_paused(rule.dag_id, False)
    except TransientError as error:
        log.warning("dag_not_shown dag_id=%s code=%s", rule.dag_id, error.code)
        return False
    return visible
