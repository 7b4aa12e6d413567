"""Connections: created, listed, and the one word that says how they stand."""

from __future__ import annotations

import pytest

from integrations_hub.errors import TransientError
from tests.kit.bridge import API, BridgeKit

BODY = {"key": "acme", "label": "Acme", "environment": "production"}


def test_a_new_connection_is_shown_in_airflow_without_a_secret(bridge: BridgeKit) -> None:
    made = bridge.create()
    assert (made["conn_id"], made["state"], made["provider"]) == ("hub_bqe_acme", "new", "bqe")
    assert bridge.airflow.connections["hub_bqe_acme"]["conn_type"] == "bqe"
    assert bridge.airflow.pools == {"hub_bqe_acme": 2}
    assert bridge.call("GET", f"{API}/connections").json()["items"] == [made]


def test_the_pool_is_as_large_as_the_operator_says(database_url: str) -> None:
    kit = BridgeKit(database_url, BQE_MAX_CONCURRENT_PER_CONNECTION="7")
    try:
        kit.create()
        assert kit.airflow.pools == {"hub_bqe_acme": 7}
    finally:
        kit.close()


def test_a_connection_is_kept_though_airflow_is_away(bridge: BridgeKit) -> None:
    bridge.airflow.error = TransientError("away")
    assert bridge.create()["key"] == "acme"


def test_a_key_is_used_once_even_by_ten_at_once(bridge: BridgeKit) -> None:
    request = ("POST", f"{API}/connections", BODY, None, {})
    answers = bridge.calls(*[request] * 10)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert bridge.audit() == ["admin connection.created"]


@pytest.mark.parametrize(
    "change",
    [
        {"key": "Acme"}, {"key": "a__b"}, {"key": "_a"}, {"key": ""}, {"key": "a" * 41}, {"key": None},
        {"label": ""}, {"label": "   "}, {"label": "a\x00b"}, {"label": "a\nb"}, {"label": "x" * 121},
        {"client_secret": "s"}, {"environment": "no environment"},
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_refused_without_its_values(
    bridge: BridgeKit, change: dict[str, str]
) -> None:
    answer = bridge.call("POST", f"{API}/connections", {**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")
    assert bridge.database.rows("SELECT 1 FROM hub.integration_connection") == []


def test_an_unknown_environment_names_the_known_ones(bridge: BridgeKit) -> None:
    answer = bridge.call("POST", f"{API}/connections", {**BODY, "environment": "moon"})
    assert (answer.status_code, answer.json()["code"]) == (409, "ENVIRONMENT_UNKNOWN")
    assert "production" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("columns", "state", "action"),
    [
        ("auth_state = 'degraded', degraded_since = now()", "degraded", "wait"),
        ("auth_state = 'needs_reauth', needs_reauth = true, reauth_reason = 'grant_rejected', degraded_since = now()",
         "needs_reauth", "reconnect"),
        ("is_disabled = true", "disabled", "enable"),
    ],
)  # fmt: skip
def test_a_connection_says_what_to_do(
    connected: BridgeKit, columns: str, state: str, action: str
) -> None:
    connected.database.execute(f"UPDATE hub.integration_connection SET {columns}")
    found = connected.call("GET", f"{API}/connections/acme").json()
    assert (found["state"], found["next_action"]) == (state, action)
    assert found["reason"]
    assert (found["since"] is not None) == (state != "disabled")


def test_an_unknown_connection_is_not_found(bridge: BridgeKit) -> None:
    assert bridge.call("GET", f"{API}/connections/nobody").status_code == 404
    assert bridge.call("GET", f"{API}/connections/..%2f..").status_code in (404, 422)
