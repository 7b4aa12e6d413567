"""Connections: created, listed, and the one word that says how they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations_hub import wiring
from integrations_hub.catalog.metadata import RequiredHeader
from integrations_hub.catalog.registry import Registry
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


@pytest.mark.parametrize("taken", [{"limits": {"requestsPerMinute": None}}, {"secret_ref": ""}])
def test_what_a_new_connection_takes_away_it_never_had(
    bridge: BridgeKit, taken: dict[str, object]
) -> None:
    answer = bridge.call("POST", f"{API}/connections", {**BODY, **taken})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["limits"], answer.json()["secret_ref"]) == ({}, None)
    (entry,) = bridge.database.rows("SELECT detail FROM hub.audit_log")
    assert not taken.keys() & entry["detail"].keys()


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
    found = connected.status()
    assert (found["state"], found["next_action"]) == (state, action)
    assert found["reason"]
    assert (found["since"] is not None) == (state != "disabled")


def test_an_unknown_connection_is_not_found(bridge: BridgeKit) -> None:
    assert bridge.call("GET", f"{API}/connections/nobody").status_code == 404
    assert bridge.call("GET", f"{API}/connections/..%2f..").status_code in (404, 422)


@pytest.mark.parametrize(
    ("columns", "state", "action", "words"),
    [
        ("auth_state = 'needs_reauth', needs_reauth = true, reauth_reason = 'unreachable', "
         "degraded_since = '2026-11-20 08:00+00'", "needs_reauth", "test",
         ["since 2026-11-20 08:00", "Admin attention needed"]),
        ("is_active = false, auth_state = 'new', disconnected_at = now()", "disconnected", "reconnect", ["kept"]),
    ],
)  # fmt: skip
def test_an_outage_and_a_disconnect_have_words_of_their_own(
    connected: BridgeKit, columns: str, state: str, action: str, words: list[str]
) -> None:
    connected.database.execute(f"UPDATE hub.integration_connection SET {columns}")
    found = connected.status()
    assert (found["state"], found["next_action"]) == (state, action)
    assert found["since"]
    assert [word for word in words if word not in found["reason"]] == []


def test_only_what_is_given_changes(connected: BridgeKit) -> None:
    body = {"label": "Acme Ltd", "limits": {"requestsPerMinute": 30, "burst": 2}}
    changed = connected.call("PATCH", f"{API}/connections/acme", body).json()
    assert (changed["label"], changed["limits"]) == ("Acme Ltd", body["limits"])
    changed = connected.call(
        "PATCH", f"{API}/connections/acme", {"limits": {"burst": None}, "secret_ref": "airflow:site_app"}
    ).json()  # fmt: skip
    assert (changed["label"], changed["limits"]) == ("Acme Ltd", {"requestsPerMinute": 30})
    assert changed["secret_ref"] == "airflow:site_app"
    changed = connected.call("PATCH", f"{API}/connections/acme", {"secret_ref": ""}).json()
    assert (changed["secret_ref"], changed["state"]) == (None, "connected")
    entries = connected.database.rows(
        "SELECT detail FROM hub.audit_log WHERE action = 'connection.changed' ORDER BY seq"
    )
    assert [entry["detail"] for entry in entries] == [
        body,
        {"limits": {"requestsPerMinute": 30}, "secret_ref": "airflow:site_app"},
        {"secret_ref": ""},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"limits": {"requestsPerMinute": 0}}, {"limits": {"perMinute": 1}}, {"label": ""},
        {"secret_ref": "vault:x"}, {"secret_ref": "airflow:hub_bqe_acme"}, {"secret_ref": "airflow:a b"},
        {"access_token": "t"}, {"environment": "production"},
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused(connected: BridgeKit, body: dict[str, object]) -> None:
    answer = connected.call("PATCH", f"{API}/connections/acme", body)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("REQUEST_INVALID", "CONNECTION_INVALID")
    assert answer.json()["problems"]
    assert "connection.changed" not in str(connected.audit())


def test_a_header_nobody_asked_for_is_named(bridge: BridgeKit) -> None:
    answer = bridge.call("POST", f"{API}/connections", {**BODY, "headers": {"X-Tenant": "t-1"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "CONNECTION_INVALID")
    assert answer.json()["problems"][0]["pointer"] == "/headers/X-Tenant"
    assert "t-1" not in answer.text


@pytest.mark.parametrize("value", [None, "", "   ", "a\r\nX-Evil: 1", "é"])
def test_a_header_the_provider_wants_must_be_usable(
    bridge: BridgeKit, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    wants_tenant(monkeypatch)
    headers = {} if value is None else {"X-Tenant": value}
    answer = bridge.call("POST", f"{API}/connections", {**BODY, "headers": headers})
    assert (answer.status_code, answer.json()["problems"]) == (
        422,
        [{"pointer": "/headers/X-Tenant", "message": "Tenant: one line of plain characters is needed."}],
    )  # fmt: skip
    made = bridge.call("POST", f"{API}/connections", {**BODY, "headers": {"X-Tenant": " t-1 "}})
    assert made.json()["headers"] == {"X-Tenant": "t-1"}


def wants_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider, wanting one header from the connection."""
    known = wiring.registry()
    header = RequiredHeader("X-Tenant", "Tenant", "connection", None)
    provider = replace(known.get_provider("bqe"), required_headers=(header,))
    monkeypatch.setattr(wiring, "registry", lambda: Registry([provider]))
