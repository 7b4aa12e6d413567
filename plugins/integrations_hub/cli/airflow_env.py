"""The complete environment of each Airflow component: who may know which secret stands here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integrations_hub.cli.state import ADMIN, State

# Tuning that an operator may override with his own AIRFLOW__ variable.
_TUNING = {
    "CORE__PARALLELISM": "4",  # LocalExecutor forks all of them at start
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # else a second edit of a rule waits 30 s
    "CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # a thousand rules are one file
    "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "330",  # a parse that takes long makes nothing stale
    "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",  # six stages in 2.7 s, not 7 s
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
    "SCHEDULER__PARSING_CLEANUP_INTERVAL": "20",
    "API__WORKERS": "1",
    "API__EXPOSE_CONFIG": "False",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "LOGGING__LOGGING_LEVEL": "INFO",
}
_SECRETS_BACKEND = "integrations_hub.orchestration.secrets_backend.HubSecretsBackend"
_API_SERVER_ONLY = (
    "HUB_DATABASE_URL",
    "INTEGRATIONS_SECRET_KEY",
    "HUB_METRICS_TOKEN",
    "HUB_NEXT_SECRETS_BACKEND",
    "HUB_NEXT_SECRETS_BACKEND_KWARGS",  # may hold a vault's own token
)
_API_SERVER_ONLY_ENDINGS = ("_CLIENT_ID", "_CLIENT_SECRET")


@dataclass(frozen=True)
class StackSettings:
    """One stack: where it lies, where it listens, which databases it uses."""

    repository: Path
    state: State
    port: int
    hub_url: str
    airflow_url: str
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where a person on this machine opens Airflow."""
        return f"http://127.0.0.1:{self.port}"


def component_env(settings: StackSettings, *, with_secrets: bool) -> dict[str, str]:
    """Environment of one component. `with_secrets`: the api-server, which alone may decrypt tokens."""
    env = {name: value for name, value in settings.environ.items() if _may_pass(name)}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["PYTHONUNBUFFERED"] = "1"
    # Tasks reach the api-server on this machine, whatever proxy stands in the environment.
    env["NO_PROXY"] = env["no_proxy"] = ",".join(
        filter(None, ("127.0.0.1", "localhost", env.get("NO_PROXY") or env.get("no_proxy")))
    )
    env["HUB_STATE_DIR"] = str(settings.state.folder)
    env["AIRFLOW_HOME"] = str(settings.state.airflow_home)
    env["AIRFLOW_CONN_HUB_DB"] = settings.hub_url
    env.setdefault("INTEGRATIONS_ENABLED", "true")
    given = {name for name in settings.environ if name.startswith("AIRFLOW__")}
    for name, value in _TUNING.items():
        if f"AIRFLOW__{name}" not in given:
            env[f"AIRFLOW__{name}"] = value
    env.update({f"AIRFLOW__{name}": value for name, value in _fixed(settings).items()})
    if with_secrets:
        env.update(_secrets(settings))
    return env


def _may_pass(name: str) -> bool:
    if name in _API_SERVER_ONLY or name.endswith(_API_SERVER_ONLY_ENDINGS):
        return False
    return name not in ("PYTHONDONTWRITEBYTECODE", "AIRFLOW_CONFIG", "AIRFLOW__SECRETS__BACKEND")


def _fixed(settings: StackSettings) -> dict[str, str]:
    """What makes these processes one stack; nobody overrides it."""
    state = settings.state
    state.admin_password()
    return {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(state.passwords_file),
        "CORE__FERNET_KEY": state.secret("airflow_fernet_key"),
        "CORE__DAGS_FOLDER": str(settings.repository / "dags"),
        "CORE__PLUGINS_FOLDER": str(settings.repository / "plugins"),
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.base_url}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{settings.airflow_url.partition('://')[2]}",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(settings.port),
        "API__BASE_URL": settings.base_url,
        "API__SECRET_KEY": state.secret("airflow_api_secret"),
        "API_AUTH__JWT_SECRET": state.secret("airflow_jwt_secret"),
        "LOGGING__BASE_LOG_FOLDER": str(state.airflow_home / "logs"),
    }


def _secrets(settings: StackSettings) -> dict[str, str]:
    """What only the api-server (the mounted bridge and the secrets backend) may know."""
    env = {
        name: value
        for name, value in settings.environ.items()
        if name in _API_SERVER_ONLY or name.endswith(_API_SERVER_ONLY_ENDINGS)
    }
    env["HUB_DATABASE_URL"] = settings.hub_url
    env["AIRFLOW__SECRETS__BACKEND"] = _SECRETS_BACKEND
    env.setdefault("INTEGRATIONS_SECRET_KEY", settings.state.secret("integrations_key"))
    return env
