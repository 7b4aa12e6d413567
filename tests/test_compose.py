"""docker-compose.yml as the real Compose resolves it: who knows which secret, who waits for whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integrations_hub.cli.env_file import write_env_file

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = Path(sys.executable).with_name("docker-compose")
AIRFLOW = ("init", "api-server", "scheduler", "dag-processor")
SHARED = (
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW_CONN_HUB_DB",
)
SECRET_SETTINGS = (
    "POSTGRES_PASSWORD",
    "HUB_ADMIN_PASSWORD",
    "INTEGRATIONS_SECRET_KEY",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_API_SECRET",
)


def compose(env_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMPOSE), "--env-file", str(env_file), "-f", str(ROOT / "docker-compose.yml"), *arguments],
        cwd=ROOT, env={"PATH": os.defpath, "HOME": str(env_file.parent)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    target = tmp_path / "env"
    write_env_file(ROOT / ".env.example", target)
    return target


@pytest.fixture
def services(env_file: Path) -> dict[str, Any]:
    done = compose(env_file, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_secrets_shared_by_all_airflow_services_are_identical(services: dict[str, Any]) -> None:
    for name in SHARED:
        values = {services[service]["environment"][name] for service in AIRFLOW}
        assert len(values) == 1, name
        assert values != {""}


def test_only_api_server_and_init_hold_the_secret_key(services: dict[str, Any]) -> None:
    holders = {
        s for s in services if "INTEGRATIONS_SECRET_KEY" in services[s].get("environment", {})
    }
    assert holders == {"api-server", "init"}
    urls = {s for s in services if "HUB_DATABASE_URL" in services[s].get("environment", {})}
    assert urls == {"api-server", "init"}


def test_only_the_api_server_holds_client_secret_and_secrets_backend(
    services: dict[str, Any],
) -> None:
    for name in ("BQE_CLIENT_ID", "BQE_CLIENT_SECRET", "AIRFLOW__SECRETS__BACKEND"):
        holders = {s for s in services if name in services[s].get("environment", {})}
        assert holders == {"api-server"}, name


@pytest.mark.parametrize("name", SECRET_SETTINGS)
def test_compose_refuses_to_start_without_a_secret(env_file: Path, name: str) -> None:
    lines = env_file.read_text().splitlines()
    env_file.write_text("\n".join(line for line in lines if not line.startswith(f"{name}=")))
    done = compose(env_file, "config", "-q")
    assert done.returncode != 0
    assert name in done.stderr
    assert "make env" in done.stderr


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRET_SETTINGS:
        uses = text.count(f"${{{name}")
        assert uses
        assert text.count(f"${{{name}:?") == uses


def test_ports_are_bound_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = {s: services[s]["ports"] for s in services if services[s].get("ports")}
    assert set(ports) == {"api-server"}
    assert [port["host_ip"] for port in ports["api-server"]] == ["127.0.0.1"]


def test_everything_that_stays_up_restarts_and_has_a_health_check(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "init":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "always", name
            assert service["healthcheck"]["test"], name


def test_each_service_waits_until_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    def needs(name: str) -> dict[str, str]:
        return {other: how["condition"] for other, how in services[name]["depends_on"].items()}

    assert needs("init") == {"postgres": "service_healthy"}
    migrated = {"postgres": "service_healthy", "init": "service_completed_successfully"}
    assert needs("api-server") == migrated
    for name in ("scheduler", "dag-processor"):
        assert needs(name) == {**migrated, "api-server": "service_healthy"}


def test_one_image_with_pinned_tags_and_no_root(services: dict[str, Any]) -> None:
    images = {services[name]["image"] for name in AIRFLOW}
    assert len(images) == 1
    for image in (*images, services["postgres"]["image"]):
        tag = image.partition(":")[2]
        assert tag
        assert tag != "latest"
    assert {services[name]["user"] for name in AIRFLOW} == {"50000:0"}


def test_init_migrates_by_default(services: dict[str, Any]) -> None:
    assert services["init"]["command"] == ["hub", "prepare"]
    assert services["init"]["environment"]["RUN_MIGRATIONS_ON_START"] == "true"
