"""The shape of a rule's Dag: six tasks, one pool, one asset, typed params."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from integrations_hub.domain.run import STAGES
from integrations_hub.orchestration.dag_factory import build_rule_dag, permanent_dags
from integrations_hub.orchestration.retry_policy import HubRetryPolicy
from tests.kit.airflow_env import as_rule


def test_six_tasks_read_as_a_sentence_from_setup_to_teardown() -> None:
    dag = build_rule_dag(as_rule())
    assert [task.task_id for task in dag.topological_sort()] == list(STAGES)
    for before, after in pairwise(STAGES):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.get_task("plan").is_setup
    assert dag.get_task("finish").is_teardown
    assert dag.get_task("finish").on_failure_fail_dagrun


def test_names_and_tags_say_what_runs() -> None:
    dag = build_rule_dag(as_rule(n=7))
    assert dag.dag_id == "hub__bqe__acme_7__projects"
    assert dag.dag_display_name == "Acme 7: projects"
    assert dag.tags == {"integrations-hub", "bqe", "projects", "rev:3"}
    assert dag.is_paused_upon_creation is False
    assert (dag.catchup, dag.max_active_runs, dag.dagrun_timeout) == (False, 1, None)


def test_only_fetch_holds_one_slot_of_the_connections_pool() -> None:
    dag = build_rule_dag(as_rule())
    pools = {task.task_id: (task.pool, task.pool_slots) for task in dag.tasks}
    assert pools.pop("fetch") == ("hub_bqe_acme_1", 1)
    assert set(pools.values()) == {("default_pool", 1)}


def test_every_task_has_a_limit_retries_and_docs() -> None:
    for task in build_rule_dag(as_rule()).tasks:
        assert task.execution_timeout == timedelta(hours=6 if task.task_id == "fetch" else 1)
        assert task.retries == 3
        assert task.retry_delay == timedelta(seconds=5)
        assert isinstance(task.retry_policy, HubRetryPolicy)
        assert task.doc_md


def test_upsert_alone_announces_the_asset() -> None:
    dag = build_rule_dag(as_rule())
    outlets = {task.task_id: task.outlets for task in dag.tasks if task.outlets}
    assert list(outlets) == ["upsert"]
    (asset,) = outlets["upsert"]
    assert isinstance(asset, Asset)
    assert asset.uri == "hub://acme_1/projects"


def test_params_are_typed_and_checked() -> None:
    dag = build_rule_dag(as_rule())
    assert dag.params.dump() == {
        "mode": "scheduled",
        "since": None,
        "until": None,
        "dry_run": False,
        "apply_run_id": None,
        "undo_run_id": None,
    }
    for name, bad in (
        ("mode", "sideways"),
        ("since", "yesterday"),
        ("dry_run", "perhaps"),
        ("apply_run_id", 0),
        ("undo_run_id", 0),
    ):
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(bad)
    assert dag.params.get_param("since").resolve("2026-11-01T00:00:00Z")
    for mode in ("scheduled", "full", "window", "resync", "sweep"):
        assert dag.params.get_param("mode").resolve(mode) == mode


def test_on_demand_asks_for_provider_connection_and_object() -> None:
    dags = {dag.dag_id: dag for dag in permanent_dags()}
    on_demand = dags["hub__on_demand"]
    assert [task.task_id for task in on_demand.topological_sort()] == list(STAGES)
    assert {"provider", "connection", "object", "mode", "dry_run"} <= set(on_demand.params)
    assert not on_demand.timetable.can_be_scheduled


def test_a_dag_survives_the_way_through_airflows_database() -> None:
    for dag in [build_rule_dag(as_rule(hold_reason="needs_reauth")), *permanent_dags()]:
        text = json.dumps(DagSerialization.to_dict(dag))
        assert len(text) < 8_000
        back = DagSerialization.from_dict(json.loads(text))
        assert set(back.task_dict) == set(dag.task_dict)
        assert type(back.timetable).__name__ == type(dag.timetable).__name__


def test_docs_name_the_hold() -> None:
    assert "needs_reauth" in str(build_rule_dag(as_rule(hold_reason="needs_reauth")).doc_md)
