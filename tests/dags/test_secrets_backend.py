"""The secrets backend answers Hub ids only, in time, and says in words what is wrong."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from airflow._shared.secrets_masker import redact
from airflow.sdk._shared.secrets_masker import redact as sdk_redact
from cryptography.fernet import Fernet

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import (
    ConfigurationError,
    ConnectionNotReady,
    DatabaseUnavailable,
    HubError,
    NotFound,
    SecretKeyMissing,
    TokenNotReady,
)
from integrations_hub.orchestration.hook import ProviderHook
from integrations_hub.orchestration.hub_database import served_connection
from integrations_hub.orchestration.secrets_backend import HubSecretsBackend
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database

READY = ServedConnection(
    "ready", "bqe", "acme_main", "tok-canary-4711-abcdef", 3, "https://api.example.test/v1"
)


def raising(error: Exception) -> Any:
    def serve(provider: str, connection: str) -> ServedConnection:
        raise error

    return serve


def extra(connection: Any) -> dict[str, Any]:
    return dict(json.loads(connection.extra))


def test_a_ready_connection_carries_token_and_address_only() -> None:
    asked = []

    def serve(provider: str, connection: str) -> ServedConnection:
        asked.append((provider, connection))
        return READY

    found = HubSecretsBackend(serve).get_connection("hub_bqe_acme_main")
    assert asked == [("bqe", "acme_main")]
    assert (found.conn_id, found.conn_type) == ("hub_bqe_acme_main", "bqe")
    assert (found.password, found.host) == (READY.access_token, READY.api_base_url)
    assert extra(found) == {"state": "ready", "token_version": 3}
    assert found.login is None


def test_a_served_token_is_masked_in_logs() -> None:
    HubSecretsBackend(lambda p, c: READY).get_connection("hub_bqe_acme_main")
    assert READY.access_token not in str(redact(f"token {READY.access_token}"))


@pytest.mark.parametrize(
    "conn_id",
    ["hub_db", "hub_", "hub_bqe", "hub_bqe_", "hub_unknown_acme", "bqe_acme", "postgres_default"],
)
def test_every_other_id_is_left_to_the_next_backend(conn_id: str) -> None:
    backend = HubSecretsBackend(raising(AssertionError("not asked")))
    assert backend.get_connection(conn_id) is None
    assert backend.get_variable("x") is None
    assert backend.get_config("x") is None


def test_a_refusal_says_why() -> None:
    refused = ServedConnection("refused", "bqe", "a", reason="it is disabled", hint="Enable it.")
    found = HubSecretsBackend(lambda p, c: refused).get_connection("hub_bqe_a")
    assert found.password is None
    assert extra(found) == {"state": "refused", "reason": "it is disabled", "hint": "Enable it."}


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (DatabaseUnavailable("Away."), "refreshing", "Away."),
        (NotFound("No such connection."), "refused", "No such connection."),
        (SecretKeyMissing("No key."), "refused", "No key."),
        (ValueError("secret-canary"), "refused", "ValueError"),
    ],
)
def test_it_never_raises_and_never_tells_an_unknown_errors_text(
    error: Exception, state: str, words: str
) -> None:
    found = HubSecretsBackend(raising(error)).get_connection("hub_bqe_a")
    assert extra(found)["state"] == state
    assert words in extra(found)["reason"]
    assert "secret-canary" not in found.extra


def test_a_slow_broker_means_ask_again_and_is_asked_once() -> None:
    go_on, calls = threading.Event(), []

    def serve(provider: str, connection: str) -> ServedConnection:
        calls.append(connection)
        go_on.wait(30)
        return READY

    backend = HubSecretsBackend(serve, answer_s=0.05)
    try:
        for _ in range(3):
            assert extra(backend.get_connection("hub_bqe_acme_main"))["state"] == "refreshing"
        assert calls == ["acme_main"]
    finally:
        go_on.set()
    patient = backend._asked["hub_bqe_acme_main"].result(timeout=30)
    assert patient is READY
    assert extra(backend.get_connection("hub_bqe_acme_main"))["state"] == "ready"
    assert len(calls) == 2


def test_airflow_builds_it_without_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_DATABASE_URL", raising=False)
    found = HubSecretsBackend().get_connection("hub_bqe_acme_main")
    assert extra(found)["state"] == "refused"
    assert "HUB_DATABASE_URL" in extra(found)["reason"]


def test_over_a_real_database_it_says_what_is_missing(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", Fernet.generate_key().decode())
    backend = HubSecretsBackend(answer_s=30)
    assert "no connection" in extra(backend.get_connection("hub_bqe_acme"))["reason"]
    PostgresConnectionStore(database).create(
        provider_key="bqe", key="acme", label="Acme", environment="production", actor="ada", request_id=None
    )  # fmt: skip
    found = extra(backend.get_connection("hub_bqe_acme"))
    assert (found["state"], found["reason"]) == ("refused", "it was never connected")
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", "")
    found = extra(backend.get_connection("hub_bqe_acme"))
    assert found["state"] == "refused"
    assert "INTEGRATIONS_SECRET_KEY" in found["reason"] + found["hint"]


def airflow_holds(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HUB_BQE_ACME", json.dumps({"conn_type": "bqe", **fields}))


def test_a_task_reads_what_the_backend_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(
        monkeypatch,
        password="tok-canary-0815-abcdef",
        host="https://api.example.test/v1",
        extra={"state": "ready", "token_version": 3},
    )
    served = served_connection("bqe", "acme")
    assert served == ServedConnection(
        "ready", "bqe", "acme", "tok-canary-0815-abcdef", 3, "https://api.example.test/v1"
    )
    assert "tok-canary-0815-abcdef" not in repr(served)
    assert "tok-canary" not in str(sdk_redact("tok-canary-0815-abcdef"))


def test_a_task_learns_why_a_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(
        monkeypatch, extra={"state": "refused", "reason": "it is disabled", "hint": "Enable it."}
    )
    served = served_connection("bqe", "acme")
    assert (served.state, served.reason, served.hint) == ("refused", "it is disabled", "Enable it.")


def test_without_the_backend_a_task_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(monkeypatch, host="https://api.example.test")
    served = served_connection("bqe", "acme")
    assert served.state == "refused"
    assert "AIRFLOW__SECRETS__BACKEND" in served.hint


def test_the_hook_signs_in_and_sends_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(
        monkeypatch,
        password="tok-canary-0815-abcdef",
        host="https://api.example.test/v1",
        extra={"state": "ready", "token_version": 3},
    )
    hook = ProviderHook("hub_bqe_acme")
    session = hook.get_conn()
    assert session.headers["Authorization"] == "Bearer tok-canary-0815-abcdef"
    assert not {"state", "token_version"} & set(session.headers)
    assert hook.url_from_endpoint("project") == "https://api.example.test/v1/project"


@pytest.mark.parametrize(
    ("conn_id", "state", "error"),
    [
        ("hub_bqe_acme", "refused", ConnectionNotReady),
        ("hub_bqe_acme", "refreshing", TokenNotReady),
        ("postgres_default", "ready", ConfigurationError),
    ],
)
def test_the_hook_says_why_it_cannot(
    conn_id: str, state: str, error: type[HubError], monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_holds(monkeypatch, extra={"state": state, "reason": "the reason", "hint": "Do this."})
    with pytest.raises(error, match=r"the reason|postgres_default"):
        ProviderHook(conn_id).get_conn()
