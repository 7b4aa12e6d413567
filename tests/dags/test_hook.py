"""The hook in anyone's Dag: signed in, within the budget, renewed on 401, and reading only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from integrations_hub.errors import ConfigurationError, Disconnected, NotFound
from integrations_hub.orchestration.hook import ProviderHook
from integrations_hub.store.database import Database
from tests.kit.connected import Connected, connected
from tests.kit.sandbox import SandboxProcess

QUERY = {"fields": "id", "page": "1,5"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-quota") as process:
        yield process


@pytest.fixture
def world(
    sandbox: SandboxProcess, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Connected:
    """Airflow's look-up answers with the token that the Hub served."""
    made = connected(sandbox, database, database_url)
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", database_url)
    monkeypatch.setenv("BQE_ALLOWED_HOSTS", "127.0.0.1")
    answer(made, monkeypatch)
    return made


def answer(world: Connected, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """Let Airflow know the connection as the secrets backend would tell it, however long a refresh takes."""
    for _ in range(10):
        served = world.broker().serve(world.id, wait_s=20)
        if served.state != "refreshing":
            break
    told = {
        "conn_type": "bqe", "host": served.api_base_url, "password": served.access_token,
        "extra": {"state": served.state, "token_version": served.token_version}, **changes,
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_HUB_BQE_ACME", json.dumps(told))
    return served.access_token


def test_anyones_dag_asks_within_the_connections_budget(
    world: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ProviderHook("hub_bqe_acme") as hook:
        assert len(hook.get_json("/project", QUERY)) == 5
        response = hook.run("project", {"fields": "id", "page": "2,5"})
        assert hook.get_json("/project", {"fields": "id", "page": "9999,5"}) is None
    assert (response.status_code, len(response.json())) == (200, 5)
    assert world.rows(
        "SELECT 1 FROM hub.rate_budget WHERE key = %(key)s", key=f"connection:{world.id}"
    )
    assert world.rows("SELECT 1 FROM hub.rate_inflight") == []
    token = world.broker().serve(world.id).access_token
    assert token not in caplog.text


def test_airflows_test_button_asks_the_provider(world: Connected) -> None:
    assert ProviderHook("hub_bqe_acme").test_connection()[0] is True
    world.sandbox.script({"status": 403, "body": {"Message": "no"}}, path="/api/project", count=-1)
    worked, said = ProviderHook("hub_bqe_acme").test_connection()
    assert (worked, "right to see projects" in said) == (False, True)


def test_a_killed_token_is_reported_once_and_asked_for_again(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.control("POST", "/revoke", {"access": True})
    from integrations_hub.orchestration import hook as module

    asked = []
    look_up = module.served_connection

    def renewing(provider_key: str, key: str) -> Any:
        asked.append(key)
        answer(world, monkeypatch)
        return look_up(provider_key, key)

    monkeypatch.setattr(module, "served_connection", renewing)
    assert len(ProviderHook("hub_bqe_acme").get_json("/project", QUERY)) == 5
    assert asked == ["acme", "acme"]


def test_a_disabled_connection_is_not_used(world: Connected) -> None:
    world.admin().lifecycle.disable("bqe", "acme", world.actor)
    with pytest.raises(Disconnected, match="disabled"):
        ProviderHook("hub_bqe_acme").get_json("/project", QUERY)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("POST", {}),
        ("GET", {"headers": {"X-Other": "1"}}),
        ("GET", {"extra_options": {"verify": False}}),
        ("GET", {"json": {"a": 1}}),
    ],
)
def test_what_the_hub_does_not_send_is_refused(method: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="only reads"):
        ProviderHook("hub_bqe_acme", method=method).run("project", **options)
    with pytest.raises(ConfigurationError, match="no session of its own"):
        ProviderHook("hub_bqe_acme").get_conn()


def test_an_unknown_connection_is_named(world: Connected) -> None:
    with pytest.raises(NotFound, match="nobody"):
        ProviderHook("hub_bqe_nobody").get_json("/project", QUERY)
    with pytest.raises(ConfigurationError, match="postgres_default"):
        ProviderHook("postgres_default").get_json("/project", QUERY)
