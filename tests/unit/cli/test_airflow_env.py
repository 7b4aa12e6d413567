from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from integrations_hub.cli.airflow_env import StackSettings, component_env
from integrations_hub.cli.state import State

HUB = "postgresql://hub:pw@127.0.0.1:5000/hub"
AIRFLOW = "postgresql://hub:pw@127.0.0.1:5000/airflow"
GIVEN = {
    "HOME": "/home/somebody",
    "HUB_DATABASE_URL": HUB,
    "HUB_METRICS_TOKEN": "metrics",
    "INTEGRATIONS_SECRET_KEY": "the-key",
    "BQE_CLIENT_ID": "an-id",
    "BQE_CLIENT_SECRET": "a-secret",
    "BQE_ALLOWED_HOSTS": "127.0.0.1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "AIRFLOW__SECRETS__BACKEND": "somebody.elses.Backend",
}


@pytest.fixture
def state(tmp_path: Path) -> State:
    folder = tmp_path / "state"
    folder.mkdir()
    return State(folder)


def settings(state: State, **given: str) -> StackSettings:
    return StackSettings(
        repository=Path("/repo"), state=state, port=8123, hub_url=HUB, airflow_url=AIRFLOW,
        environ={**GIVEN, **given},
    )  # fmt: skip


def test_workers_hold_no_secret_of_the_hub(state: State) -> None:
    env = component_env(settings(state), with_secrets=False)
    for name in ("HUB_DATABASE_URL", "HUB_METRICS_TOKEN", "INTEGRATIONS_SECRET_KEY"):
        assert name not in env
    assert "BQE_CLIENT_ID" not in env
    assert "BQE_CLIENT_SECRET" not in env
    assert "AIRFLOW__SECRETS__BACKEND" not in env
    assert not {"the-key", "a-secret", "metrics"} & set(env.values())


def test_the_api_server_holds_them_and_our_secrets_backend(state: State) -> None:
    env = component_env(settings(state), with_secrets=True)
    assert env["HUB_DATABASE_URL"] == HUB
    assert env["INTEGRATIONS_SECRET_KEY"] == "the-key"
    assert env["BQE_CLIENT_SECRET"] == "a-secret"
    assert env["AIRFLOW__SECRETS__BACKEND"].startswith("integrations_hub.orchestration.")


def test_all_components_share_airflows_own_secrets_across_starts(state: State) -> None:
    names = ("CORE__FERNET_KEY", "API_AUTH__JWT_SECRET", "API__SECRET_KEY")
    first = component_env(settings(state), with_secrets=True)
    again = component_env(settings(State(state.folder)), with_secrets=False)
    for name in names:
        assert first[f"AIRFLOW__{name}"] == again[f"AIRFLOW__{name}"]
    assert len({first[f"AIRFLOW__{name}"] for name in names}) == 3


def test_everything_listens_on_and_speaks_to_this_machine(state: State) -> None:
    env = component_env(settings(state, NO_PROXY="example.test"), with_secrets=False)
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert env["NO_PROXY"] == env["no_proxy"] == "127.0.0.1,localhost,example.test"


def test_tasks_reach_the_hubs_database_as_a_connection(state: State) -> None:
    env = component_env(settings(state), with_secrets=False)
    assert env["AIRFLOW_CONN_HUB_DB"] == HUB
    assert env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == AIRFLOW.replace(
        "postgresql://", "postgresql+psycopg2://"
    )


def test_tuning_can_be_overridden_and_identity_cannot(state: State) -> None:
    given = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__API__HOST": "0.0.0.0",
        "AIRFLOW__CORE__DAGS_FOLDER": "/elsewhere",
    }
    env = component_env(settings(state, **given), with_secrets=False)
    assert env["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "20"
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__CORE__DAGS_FOLDER"] == "/repo/dags"


def test_parse_timeouts_are_made_for_a_thousand_rules(state: State) -> None:
    env = component_env(settings(state), with_secrets=False)
    assert float(env["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"]) >= 300
    assert float(env["AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT"]) >= 300
    assert float(env["AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD"]) > 300


def test_bytecode_is_cached_and_integrations_are_on_by_default(state: State) -> None:
    env = component_env(settings(state), with_secrets=False)
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["INTEGRATIONS_ENABLED"] == "true"
    off = component_env(settings(state, INTEGRATIONS_ENABLED="false"), with_secrets=False)
    assert off["INTEGRATIONS_ENABLED"] == "false"


def test_the_login_is_generated_once_and_only_ours_to_read(state: State) -> None:
    env = component_env(settings(state), with_secrets=True)
    path = Path(env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert json.loads(path.read_text()) == {"admin": state.admin_password()}
    assert len(state.admin_password()) >= 16
    for file in (path, state.folder / "secrets.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_missing_key_is_made_once_in_the_state_folder(state: State) -> None:
    given = {**GIVEN}
    del given["INTEGRATIONS_SECRET_KEY"]
    without = StackSettings(
        repository=Path("/repo"),
        state=state,
        port=1,
        hub_url=HUB,
        airflow_url=AIRFLOW,
        environ=given,
    )
    first = component_env(without, with_secrets=True)["INTEGRATIONS_SECRET_KEY"]
    assert first == component_env(without, with_secrets=True)["INTEGRATIONS_SECRET_KEY"]
    assert len(first) == 44
