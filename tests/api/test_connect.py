"""The OAuth consent: one browser, one person, one exchange."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from integrations_hub.errors import GrantRejected, TransientError
from integrations_hub.vault.keyring import Keyring
from tests.kit.bridge import ADMIN, API, COMPANY, KEY, BridgeKit

CALLBACK = "http://127.0.0.1:8080/hub/api/integrations/bqe/connect/callback"
ONE_TEXT = "This sign-in does not belong to a connection that you just started."


def status(bridge: BridgeKit, key: str = "acme") -> dict[str, object]:
    return dict(bridge.call("GET", f"{API}/connections/{key}").json())


def forged(state: str, **claims: object) -> str:
    """The state with other claims under the old signature."""
    body, _, signature = state.partition(".")
    known = json.loads(base64.urlsafe_b64decode(body + "=="))
    text = json.dumps({**known, **claims}, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode() + "." + signature


def signed(state: str, **claims: object) -> str:
    """The state with other claims and a good signature: what only the Hub itself could write."""
    body = forged(state, **claims).partition(".")[0]
    return f"{body}.{Keyring.from_setting(KEY).sign(b'oauth state' + bytes(1) + body.encode())}"


def test_the_whole_way_connects_without_a_bearer_on_the_way_back(bridge: BridgeKit) -> None:
    bridge.create()
    assert (status(bridge)["state"], status(bridge)["next_action"]) == ("new", "connect")
    query, cookie = bridge.start()
    assert query["redirect_uri"] == CALLBACK
    answer = bridge.callback(query["state"], cookie)
    assert answer.status_code == 200
    assert "Acme is connected." in answer.text
    (exchange,) = bridge.identity.exchanges
    challenge = base64.urlsafe_b64encode(
        hashlib.sha256(exchange["code_verifier"].encode()).digest()
    ).rstrip(b"=")
    assert challenge.decode() == query["code_challenge"]
    assert exchange["redirect_uri"] == CALLBACK
    now = status(bridge)
    assert (now["state"], now["auth_state"], now["company_id"]) == (
        "connected",
        "connected",
        COMPANY,
    )
    assert now["connected_by"] == "admin"
    assert bridge.audit() == [
        "admin connection.created",
        "admin connection.connect_started",
        "admin connection.connected",
    ]


def test_the_tokens_are_kept_sealed_only(connected: BridgeKit) -> None:
    (row,) = connected.database.rows("SELECT ciphertext FROM hub.encrypted_secret")
    assert b"canary" not in bytes(row["ciphertext"])
    audit = connected.database.rows("SELECT detail::text AS text FROM hub.audit_log")
    assert "canary" not in str(audit)
    assert "canary" not in str(connected.database.rows("SELECT * FROM hub.oauth_flow"))


def test_the_short_path_is_the_same_door(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    assert bridge.callback(query["state"], cookie, path="/callback").status_code == 200
    assert status(bridge)["state"] == "connected"


def test_the_cookie_is_for_this_browser_and_no_script(bridge: BridgeKit) -> None:
    bridge.create()
    header = bridge.call("POST", f"{API}/connect/start?connection=acme").headers["set-cookie"]
    assert header.startswith("hub_oauth=")
    assert {"HttpOnly", "Path=/hub", "SameSite=lax", "Max-Age=600"} <= set(header.split("; "))
    assert "Secure" not in header


def test_behind_https_the_cookie_is_bound_to_the_host(database_url: str) -> None:
    kit = BridgeKit(database_url, HUB_PUBLIC_URL="https://hub.example.test")
    try:
        kit.create()
        answer = kit.call("POST", f"{API}/connect/start?connection=acme")
        header = answer.headers["set-cookie"]
        assert header.startswith("__Host-hub_oauth=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(header.split("; "))
        assert "hub.example.test%2Fhub%2Fapi" in answer.json()["authorize_url"]
    finally:
        kit.close()


def test_a_forged_host_does_not_choose_where_codes_go(bridge: BridgeKit) -> None:
    bridge.create()
    answer = bridge.call(
        "POST", f"{API}/connect/start?connection=acme", headers={**ADMIN, "Host": "evil.example"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "PUBLIC_URL_MISSING")
    details = bridge.call("GET", API, headers={**ADMIN, "Host": "evil.example"}).json()
    assert (details["redirect_uri"], details["missing_settings"]) == (None, ["HUB_PUBLIC_URL"])


def test_what_was_not_started_here_is_refused_with_one_text(bridge: BridgeKit) -> None:
    bridge.create()
    bridge.create("beta")
    query, cookie = bridge.start()
    beta = bridge.call("GET", f"{API}/connections/beta").json()
    state = query["state"]
    attempts = {
        "none": ("", cookie),
        "no signature": (state.partition(".")[0], cookie),
        "half": (state[:-1], cookie),
        "other connection": (forged(state, connection=beta["conn_id"]), cookie),
        "other actor": (forged(state, actor="root"), cookie),
        "longer life": (forged(state, exp=99999999999), cookie),
        "not ascii": (state + "é", cookie),
        "no cookie": (state, ""),
        "other browser": (state, "hub_oauth=other"),
        "expired": (signed(state, exp=1), cookie),
        "other version": (signed(state, v=2), cookie),
        "signed for another connection": (signed(state, connection=2), cookie),
        "signed for another actor": (signed(state, actor="root"), cookie),
        "signed for another provider": (signed(state, provider="other"), cookie),
    }
    for name, (attempt, brought) in attempts.items():
        answer = bridge.callback(attempt, brought)
        assert answer.status_code == 400, name
        assert ONE_TEXT in answer.text, name
        if name == "signed for another connection":  # spent, as its nonce was right
            query, cookie = bridge.start()
    assert bridge.identity.exchanges == []
    assert bridge.callback(query["state"], cookie).status_code == 200


def test_another_person_in_the_same_browser_is_refused(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    params = {"state": query["state"], "code": "c"}
    other = bridge.call(
        "GET",
        f"{API}/connect/callback",
        params=params,
        headers={"Cookie": f"{cookie}; _token=root"},
    )
    assert (other.status_code, bridge.identity.exchanges) == (400, [])
    same = bridge.call(
        "GET",
        f"{API}/connect/callback",
        params=params,
        headers={"Cookie": f"{cookie}; _token=admin"},
    )
    assert same.status_code == 200
    assert "admin connection.callback_refused" in bridge.audit()


def test_a_flow_in_the_database_that_is_too_old_is_refused(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    bridge.database.execute(
        "UPDATE hub.oauth_flow SET expires_at = clock_timestamp() - interval '1 s'"
    )
    assert bridge.callback(query["state"], cookie).status_code == 400


def test_of_twenty_callbacks_at_once_exactly_one_is_exchanged(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    params = {"state": query["state"], "code": "c"}
    request = ("GET", f"{API}/connect/callback", None, {"Cookie": cookie}, {"params": params})
    answers = bridge.calls(*[request] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert len(bridge.identity.exchanges) == 1
    assert bridge.callback(query["state"], cookie).status_code == 400


def test_a_denied_consent_is_told_in_our_words_and_spends_the_flow(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    evil = "<script>alert(1)</script>"
    answer = bridge.callback(
        query["state"], cookie, error="access_denied", error_description=evil, code=""
    )
    assert (answer.status_code, "<script" in answer.text) == (400, False)
    assert "the consent was not given" in answer.text
    assert bridge.callback(query["state"], cookie).status_code == 400
    odd, cookie2 = bridge.start()
    assert evil not in bridge.callback(odd["state"], cookie2, error=evil).text
    assert bridge.identity.exchanges == []


@pytest.mark.parametrize(
    ("error", "expected"), [(GrantRejected("no <b>grant</b>"), 409), (TransientError("later"), 503)]
)
def test_a_failed_exchange_keeps_the_connection_as_it_was(
    connected: BridgeKit, error: Exception, expected: int
) -> None:
    before = status(connected)
    query, cookie = connected.start()
    connected.identity.error = error
    answer = connected.callback(query["state"], cookie)
    assert (answer.status_code, "<b>" in answer.text) == (expected, False)
    assert status(connected) == before
    assert connected.audit()[-1] == "admin connection.connect_failed"


def test_a_silent_change_of_company_is_refused_in_words(connected: BridgeKit) -> None:
    query, cookie = connected.start()
    connected.identity.grant = replace(connected.identity.grant, company_id="company-z")
    answer = connected.callback(query["state"], cookie)
    assert answer.status_code == 409
    assert "Company company-z signed in, but acme belongs to company company-a" in answer.text
    assert status(connected)["company_id"] == COMPANY


def test_the_company_of_the_setting_is_the_only_one(database_url: str) -> None:
    kit = BridgeKit(database_url, BQE_COMPANY_ID="company-q")
    try:
        kit.create()
        query, cookie = kit.start()
        answer = kit.callback(query["state"], cookie)
        assert answer.status_code == 409
        assert "BQE_COMPANY_ID" in answer.text
        assert status(kit)["state"] == "new"
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
    assert (answer.status_code, status(bridge)["state"]) == (502, "new")
    assert bridge.database.rows("SELECT 1 FROM hub.encrypted_secret") == []


def test_one_company_has_one_active_connection(connected: BridgeKit) -> None:
    connected.create("twin")
    query, cookie = connected.start("twin")
    answer = connected.callback(query["state"], cookie)
    assert answer.status_code == 409
    assert (status(connected, "twin")["state"], status(connected)["state"]) == ("new", "connected")


def test_a_reconnect_goes_on_counting_token_versions(connected: BridgeKit) -> None:
    query, cookie = connected.start()
    assert connected.callback(query["state"], cookie).status_code == 200
    (row,) = connected.database.rows("SELECT token_version FROM hub.integration_connection")
    assert row["token_version"] == 2


def test_start_needs_the_client_of_the_provider(database_url: str) -> None:
    kit = BridgeKit(database_url, BQE_CLIENT_SECRET="")
    try:
        kit.app.dependency_overrides.pop(
            next(iter(k for k in kit.app.dependency_overrides if k.__name__ == "auth_clients"))
        )
        kit.create()
        answer = kit.call("POST", f"{API}/connect/start?connection=acme")
        assert answer.status_code == 409
        assert "BQE_CLIENT_SECRET" in answer.json()["message"]
        assert kit.database.rows("SELECT 1 FROM hub.oauth_flow") == []
    finally:
        kit.close()


def test_code_and_state_do_not_reach_the_servers_access_log(bridge: BridgeKit) -> None:
    """Airflow's access log and uvicorn's read the query from the shared scope when the answer is made."""
    seen: list[bytes] = []
    inner = bridge.app

    async def server(scope: Any, receive: Any, send: Any) -> None:
        async def logging_send(message: Any) -> None:
            seen.append(scope["query_string"])
            await send(message)

        await inner(scope, receive, logging_send)
        seen.append(scope["query_string"])

    bridge.create()
    query, cookie = bridge.start()
    bridge.serve = server
    for path in ("/connect/callback", "/callback"):
        bridge.callback(query["state"], cookie, path=path)
    assert set(seen) == {b""}
    assert len(bridge.identity.exchanges) == 1
