"""Builds the Hub's Dags: the structure is fixed here, a rule gives only names, schedule, tags and docs.

Deterministic: the same rule serializes to the same bytes, so parsing adds no Dag version.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG, Asset, Param
from airflow.sdk.definitions.param import ParamsDict

from integrations_hub.domain.rule import Rule, Schedule
from integrations_hub.domain.run import MODES
from integrations_hub.domain.schedule import summary
from integrations_hub.errors import ConfigurationError
from integrations_hub.orchestration.housekeeping import HousekeepingTask
from integrations_hub.orchestration.provider_folders import provider_names
from integrations_hub.orchestration.tasks import StageTask
from integrations_hub.orchestration.timetable import HubTimetable

HOUSEKEEPING = "hub__housekeeping"
ON_DEMAND = "hub__on_demand"
_TAG = "integrations-hub"
_START = datetime(2025, 1, 1, tzinfo=timezone.utc)  # fixed: it only has to lie in the past
_KEY = "^[a-z0-9]+(_[a-z0-9]+)*$"
# `format` draws Airflow's date picker, but without an extra package it checks nothing
_INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{3}(\d{3})?)?)?(Z|[+-]\d{2}:\d{2})?$"


def permanent_dags(only_dag_id: str | None = None) -> list[DAG]:
    """The Dags that exist without any rule, so that Airflow always has a token to parse this file again."""
    builders = {HOUSEKEEPING: _housekeeping, ON_DEMAND: _on_demand}
    return [build() for dag_id, build in builders.items() if only_dag_id in (None, dag_id)]


def build_rule_dag(rule: Rule) -> DAG:
    """The Dag of one enabled rule, validated. Raises whatever is wrong with the rule: the caller isolates it."""
    if rule.provider_key not in provider_names():
        raise ConfigurationError(
            f"The provider {rule.provider_key!r} of rule {rule.id} is not installed.",
            hint="Install its folder under providers/, or disable the rule.",
            code="PROVIDER_MISSING",
        )
    conn_id = f"hub_{rule.provider_key}_{rule.connection_key}"
    asset = Asset(
        name=f"hub://{rule.connection_key}/{rule.object_key}",
        uri=f"hub://{rule.connection_key}/{rule.object_key}",
        group="integrations-hub",
    )
    dag = DAG(
        rule.dag_id,
        dag_display_name=f"{rule.connection_label}: {rule.object_key}",
        description=f"Syncs {rule.object_key} of {rule.connection_label}, {summary(rule.schedule)}",
        doc_md=_rule_docs(rule, conn_id),
        schedule=HubTimetable(
            rule.schedule, rule.dag_id, rule.hold_reason, since=rule.scheduled_since
        ),
        tags=[_TAG, rule.provider_key, rule.object_key, f"rev:{rule.revision}"],
        is_paused_upon_creation=False,
        **_common(),
    )
    _six_tasks(dag, rule_id=rule.id, pool=conn_id, outlets=[asset])
    dag.params = _run_params()
    dag.validate()  # type: ignore[no-untyped-call]
    return dag


def _on_demand() -> DAG:
    dag = DAG(
        ON_DEMAND,
        dag_display_name="Hub: run on demand",
        description="One run of any rule, enabled or not",
        doc_md=(
            "Runs the rule of a connection and object once: a draft or disabled rule as a dry run, "
            "an enabled one outside its schedule. It never runs by itself."
        ),
        schedule=None,
        tags=[_TAG],
        is_paused_upon_creation=False,
        **_common(max_active_runs=4),
    )
    _six_tasks(dag, rule_id=None, pool=None, outlets=[])
    dag.params = ParamsDict(
        {
            "provider": Param(type="string", pattern=_KEY, description="Provider key"),
            "connection": Param(type="string", pattern=_KEY, description="Connection key"),
            "object": Param("projects", type="string", pattern=_KEY, description="Object key"),
            **_run_params(),
        }
    )
    dag.validate()  # type: ignore[no-untyped-call]
    return dag


def _housekeeping() -> DAG:
    dag = DAG(
        HOUSEKEEPING,
        dag_display_name="Hub: housekeeping",
        description="Ends runs whose Dag run is gone, empties staging, beats for the Hub's health",
        doc_md="Every five minutes. The Hub's health turns yellow when it stops.",
        schedule=HubTimetable(Schedule(5, None), HOUSEKEEPING),
        tags=[_TAG],
        is_paused_upon_creation=False,
        **_common(),
    )
    HousekeepingTask(task_id="sweep", dag=dag)
    dag.validate()  # type: ignore[no-untyped-call]
    return dag


def _common(max_active_runs: int = 1) -> dict[str, Any]:
    # auto_register=False: a Dag that fails half-built must not be found by Airflow and take the file down.
    # No dagrun_timeout: it would skip finish.
    return {
        "start_date": _START,
        "catchup": False,
        "max_active_runs": max_active_runs,
        "auto_register": False,
    }


def _six_tasks(dag: DAG, *, rule_id: int | None, pool: str | None, outlets: list[Asset]) -> None:
    """Wire plan >> fetch >> filter_parents >> map_fields >> upsert >> finish.

    Only fetch takes a slot of the connection's pool, and one: a slot count of more than the pool holds would
    never run, and people may lower the slots. Requests in flight are counted by the budget in PostgreSQL.
    """
    held: dict[str, Any] = {"pool": pool, "pool_slots": 1} if pool else {}
    plan = StageTask(stage="plan", rule_id=rule_id, dag=dag)
    fetch = StageTask(stage="fetch", dag=dag, **held)
    filter_parents = StageTask(stage="filter_parents", dag=dag)
    map_fields = StageTask(stage="map_fields", dag=dag)
    upsert = StageTask(stage="upsert", dag=dag, outlets=outlets)
    finish = StageTask(stage="finish", dag=dag)
    plan >> fetch >> filter_parents >> map_fields >> upsert >> finish
    # finish is what Airflow judges the run by: it fails itself when the run failed
    finish.as_teardown(setups=plan, on_failure_fail_dagrun=True)


def _run_params() -> ParamsDict:
    """The typed form of a run. Given to the Dag after its tasks: each task would carry a copy of its own."""
    instant: dict[str, Any] = {
        "type": ["null", "string"],
        "format": "date-time",
        "pattern": _INSTANT,
    }
    return ParamsDict(
        {
            "mode": Param(
                "scheduled",
                type="string",
                enum=list(MODES),
                description=(
                    "scheduled: what changed since the mark; full: everything; window: what changed between since and "
                    "until; resync: what the open resync request still lacks; sweep: everything, and what is missing; "
                    "remap: what was read before, by the mapping as it is now, without a request"
                ),
            ),
            "since": Param(None, **instant, description="Window: first instant (UTC), inclusive"),
            "until": Param(None, **instant, description="Window: last instant (UTC), exclusive"),
            "dry_run": Param(False, type="boolean", description="Plan the changes, write nothing"),
            "apply_run_id": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                description="Apply the plan of changes of this run as it stands, read nothing",
            ),
            "undo_run_id": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                description="Take this run back: what it wrote and nobody changed since becomes what it was",
            ),
        }
    )


def _rule_docs(rule: Rule, conn_id: str) -> str:
    hold = (
        f"\n\n**On hold:** {rule.hold_reason}. No scheduled runs; backfills and manual runs work."
        if rule.hold_reason
        else ""
    )
    return (
        f"Syncs **{rule.object_key}** of **{rule.connection_label}** (connection `{conn_id}`), "
        f"rule {rule.id}, revision {rule.revision}.{hold}\n\n"
        "`plan` takes the lease, `fetch` reads, `filter_parents` keeps top-level records, `map_fields` plans the "
        "changes, `upsert` applies them, `finish` moves the mark. Any task may be cleared or repeated.\n\n"
        "A backfill makes window runs of 24 hours; they never move the mark. "
        f"Data-aware Dags can wait for the asset `hub://{rule.connection_key}/{rule.object_key}`: "
        "an event means that rows were written."
    )
