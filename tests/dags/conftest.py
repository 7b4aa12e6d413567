"""Airflow without its database: parsing, serialization, plugins, tasks called directly."""

from __future__ import annotations

from tests.kit import airflow_env

airflow_env.prepare()

from pathlib import Path  # noqa: E402 - Airflow reads its environment when it is imported

import pytest  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def plugins() -> None:
    airflow_env.load_plugins()


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parser's environment with the Hub's database away and its own snapshot folder."""
    monkeypatch.setenv("HUB_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", airflow_env.NOWHERE)
    monkeypatch.setenv("INTEGRATIONS_ENABLED", "true")
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", raising=False)
    return tmp_path
