"""The company of a consent: it does not change by itself, and one has one active connection."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.kit.bridge import API, COMPANY, BridgeKit


def test_a_silent_change_of_company_is_refused_in_words(connected: BridgeKit) -> None:
    query, cookie = connected.start()
    connected.identity.grant = replace(connected.identity.grant, company_id="company-z")
    answer = connected.callback(query["state"], cookie)
    assert answer.status_code == 409
    assert "Company company-z signed in, but acme belongs to company company-a" in answer.text
    assert connected.status()["company_id"] == COMPANY


def change_company(bridge: BridgeKit, *, confirm: bool) -> httpx.Response:
    started = bridge.call(
        "POST", f"{API}/connect/start?connection=acme", {"confirm_company_change": confirm}
    )
    state = parse_qs(urlsplit(started.json()["authorize_url"]).query)["state"][0]
    bridge.identity.grant = replace(bridge.identity.grant, company_id="company-z")
    return bridge.callback(state, started.headers["set-cookie"].partition(";")[0])


def test_a_confirmed_change_of_company_starts_every_rule_anew(connected: BridgeKit) -> None:
    connected.save_rule()
    assert change_company(connected, confirm=False).status_code == 409
    (before,) = connected.database.rows("SELECT generation FROM hub.integration_rule")
    assert change_company(connected, confirm=True).status_code == 200
    (after,) = connected.database.rows("SELECT generation FROM hub.integration_rule")
    assert (connected.status()["company_id"], after["generation"] - before["generation"]) == (
        "company-z",
        1,
    )
    (entry,) = connected.database.rows(
        "SELECT detail FROM hub.audit_log WHERE action = 'connection.connected' ORDER BY seq DESC LIMIT 1"
    )
    assert (entry["detail"]["former_company_id"], entry["detail"]["company_id"]) == (
        COMPANY,
        "company-z",
    )
    query, cookie = connected.start()
    assert connected.callback(query["state"], cookie).status_code == 200
    assert connected.database.rows("SELECT generation FROM hub.integration_rule") == [after]


def test_the_company_does_not_change_under_a_run(connected: BridgeKit) -> None:
    connected.database.execute(
        "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, state)"
        " SELECT 'd', 'r', id, provider_key, 'projects', 'running' FROM hub.integration_connection"
    )
    answer = change_company(connected, confirm=True)
    assert (answer.status_code, "RUN_ACTIVE" in answer.text) == (409, True)
    assert connected.status()["company_id"] == COMPANY


def test_the_company_of_the_setting_is_the_only_one(database_url: str) -> None:
    kit = BridgeKit(database_url, BQE_COMPANY_ID="company-q")
    try:
        kit.create()
        query, cookie = kit.start()
        answer = kit.callback(query["state"], cookie)
        assert answer.status_code == 409
        assert "BQE_COMPANY_ID" in answer.text
        assert kit.status()["state"] == "new"
    finally:
        kit.close()


def test_a_provider_that_names_no_company_needs_the_setting(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    bridge.identity.grant = replace(bridge.identity.grant, company_id=None)
    answer = bridge.callback(query["state"], cookie)
    assert answer.status_code == 409
    assert "Set BQE_COMPANY_ID" in answer.text


def test_tokens_for_a_host_that_is_not_pinned_are_not_kept(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    bridge.identity.grant = replace(
        bridge.identity.grant, api_base_url="https://api.bqecore.com.evil.example/api"
    )
    answer = bridge.callback(query["state"], cookie)
    assert (answer.status_code, bridge.status()["state"]) == (502, "new")
    assert bridge.database.rows("SELECT 1 FROM hub.encrypted_secret") == []


def test_one_company_has_one_active_connection_and_the_other_is_named(
    connected: BridgeKit,
) -> None:
    connected.create("twin")
    query, cookie = connected.start("twin")
    answer = connected.callback(query["state"], cookie)
    assert (answer.status_code, "COMPANY_CONNECTED_ALREADY" in answer.text) == (409, True)
    assert "already has the active connection &#x27;acme&#x27;" in answer.text
    assert (connected.status("twin")["state"], connected.status()["state"]) == ("new", "connected")


def test_of_ten_connections_of_one_company_at_once_one_becomes_active(bridge: BridgeKit) -> None:
    requests = []
    for number in range(10):
        bridge.create(f"c{number}")
        query, cookie = bridge.start(f"c{number}")
        params = {"state": query["state"], "code": "c"}
        requests.append(
            ("GET", f"{API}/connect/callback", None, {"Cookie": cookie}, {"params": params})
        )
    answers = bridge.calls(*requests)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    (active,) = bridge.database.rows("SELECT key FROM hub.integration_connection WHERE is_active")
    refused = [answer.text for answer in answers if answer.status_code == 409]
    assert all(f"connection &#x27;{active['key']}&#x27;" in text for text in refused)


def test_companies_and_environments_stand_side_by_side(bridge: BridgeKit) -> None:
    for key, company in (("acme", "company-a"), ("beta", "company-b"), ("gamma", "company-a")):
        bridge.create(key)
        if key == "gamma":  # BQE names one environment only; the constraint knows any
            bridge.database.execute(
                "UPDATE hub.integration_connection SET environment = 'other' WHERE key = 'gamma'"
            )
        query, cookie = bridge.start(key)
        bridge.identity.grant = replace(bridge.identity.grant, company_id=company)
        assert bridge.callback(query["state"], cookie).status_code == 200, key
    assert [bridge.status(key)["state"] for key in ("acme", "beta", "gamma")] == ["connected"] * 3
