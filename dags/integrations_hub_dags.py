"""Airflow entry point: one Dag per enabled rule, and the two permanent Hub Dags."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from integrations_hub.orchestration.dag_factory import build_rule_dag, permanent_dags
from integrations_hub.orchestration.rule_source import RuleSource

# Airflow sets this in a task's process only: it builds its own Dag and no other.
only_dag_id = get_parsing_context().dag_id
source = RuleSource(only_dag_id)
broken: dict[int, str] = {}

for dag in permanent_dags(only_dag_id):
    globals()[dag.dag_id] = dag

for rule in source.load():
    try:
        dag = build_rule_dag(rule)
    except Exception as error:  # noqa: BLE001 - one bad rule must not hide the others
        broken[rule.id] = f"{type(error).__name__}: {error}"
    else:
        globals()[dag.dag_id] = dag

source.report(broken)
