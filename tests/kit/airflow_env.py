"""Airflow for tests: an own home, our plugins and Dags, no examples; rules by snapshot, so no database is needed."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
DAG_FILE = REPOSITORY / "dags" / "integrations_hub_dags.py"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"  # port 1: refused at once


def prepare() -> None:
    """Set Airflow's environment; call it before anything imports airflow."""
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="hub-airflow-"))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
    os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAG_FILE.parent)
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "false"


def load_plugins() -> None:
    """Load Airflow's plugins once, from our folder even when airflow was imported before `prepare`."""
    from airflow import plugins_manager, settings  # noqa: TID251 - what a late `prepare` misses

    settings.PLUGINS_FOLDER = str(REPOSITORY / "plugins")
    with warnings.catch_warnings():
        # pathspec deprecates what Airflow's own ignore file reader uses
        warnings.simplefilter("ignore", DeprecationWarning)
        plugins_manager.ensure_plugins_loaded()


def rule_row(n: int = 1, **changes: Any) -> dict[str, Any]:
    """One enabled rule as the snapshot holds it; `changes` replace fields."""
    return {
        "id": n,
        "connection_id": n,
        "connection_key": f"acme_{n}",
        "connection_label": f"Acme {n}",
        "provider_key": "bqe",
        "object_key": "projects",
        "revision": 3,
        "generation": 1,
        "enabled": True,
        "hold_reason": None,
        "scheduled_since": "2026-01-01T00:00:00+00:00",
        "body": {"schedule": {"every": {"minutes": 15}}},
        **changes,
    }


def write_snapshot(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Make these the last good rules of HUB_STATE_DIR=folder."""
    folder.joinpath("rules_snapshot.json").write_text(json.dumps(rows), encoding="utf-8")


def parse() -> Any:
    """Airflow's own DagBag of our Dag file, safe mode included."""
    from airflow.dag_processing.dagbag import DagBag

    load_plugins()
    return DagBag(
        dag_folder=str(DAG_FILE), bundle_path=DAG_FILE.parent, bundle_name="dags", safe_mode=True
    )


def hashes(dags: dict[str, Any]) -> dict[str, str]:
    """Airflow's hash by Dag id: what decides whether there is a new Dag version."""
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    return {dag_id: LazyDeserializedDAG.from_dag(dag).hash for dag_id, dag in dags.items()}


def as_rule(**changes: Any) -> Any:
    """The rule of `rule_row` as domain object."""
    from integrations_hub.domain.rule import Rule

    row = rule_row(**changes)
    return Rule(**{**row, "scheduled_since": datetime.fromisoformat(row["scheduled_since"])})


def api_server() -> Any:
    """Our module over the api-server's internals; importing those warns about a test client we don't use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from integrations_hub.orchestration import api_server
    return api_server
