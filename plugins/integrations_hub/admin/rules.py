"""What an admin does with rules: save, enable, disable; each with its Dag in Airflow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrations_hub.admin.connections import Connections
from integrations_hub.catalog import rule_form
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.rule import Rule
from integrations_hub.errors import ConflictingChange, NotFound, TransientError
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.records import LocalProjectStore, RuleStore

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
class Rules:
    """One rule per connection and object."""

    rules: RuleStore
    connections: Connections
    projects: LocalProjectStore
    registry: Registry
    clock: Clock

    def get(self, provider_key: str, object_key: str, connection_key: str | None) -> Rule:
        """As today's form reads it. Raises NotFound before the first save."""
        obj = self.registry.get_object_catalog(provider_key, object_key)
        connection = self.connections.pick(provider_key, connection_key)
        rule = self.rules.find(connection.id, object_key)
        if rule is None:
            raise NotFound(
                f"{connection.label} has no rule for {object_key} yet.",
                hint="Save one first.",
                code="RULE_UNKNOWN",
            )
        return replace(rule, body=rule_form.effective(obj, rule.body))

    def save(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        body: Mapping[str, Any],
        expected_revision: int | None,
        actor: Actor,
    ) -> Saved:
        """Validate and keep the next revision; of an enabled rule Airflow then shows it.

        Raises RuleInvalid with all problems, ConflictingChange when somebody saved in between.
        """
        obj = self.registry.get_object_catalog(provider_key, object_key)
        connection = self.connections.pick(provider_key, connection_key)
        rule = self.rules.save(
            connection_id=connection.id,
            object_key=object_key,
            body=rule_form.validate(obj, body, now=self.clock.now()),
            actor=actor.name,
            request_id=actor.request_id,
            expected_revision=expected_revision,
        )
        return Saved(rule, _show(rule, actor.airflow) if rule.enabled else None)

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
        admin says that there is nothing to match (D17).
        """
        rule = self.get(provider_key, object_key, connection_key)
        if not rule.enabled and not nothing_to_match:
            self._refuse_unmatched(rule)
        connection = self.connections.get(provider_key, rule.connection_key)
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
