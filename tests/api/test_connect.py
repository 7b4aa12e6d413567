"""The OAuth consent: one browser, one person, one exchange."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bridge_api import deps
from integrations_hub import auth_wiring
from integrations_hub.admin.oauth_answer import _DENIALS, _MISFITS
from integrations_hub.errors import GrantRejected, TransientError
from integrations_hub.ports.outside import HttpResponse
from integrations_hub.vault.keyring import Keyring
from tests.kit.bridge import ADMIN, API, COMPANY, GRANTED_BASE, KEY, BridgeKit

CALLBACK = "http://127.0.0.1:8080/hub/api/integrations/bqe/connect/callback"
ONE_TEXT = "This sign-in does not belong to a connection that you just started."


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
    assert (bridge.status()["state"], bridge.status()["next_action"]) == ("new", "connect")
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
    now = bridge.status()
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
    assert bridge.status()["state"] == "connected"


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


SPENT = "This sign-in was finished before; an answer counts once."
MISFITS = {
    "none": "OAUTH_FLOW_REJECTED",
    "no signature": "OAUTH_FLOW_REJECTED",
    "half": "OAUTH_FLOW_REJECTED",
    "other connection": "OAUTH_FLOW_REJECTED",
    "other actor": "OAUTH_FLOW_REJECTED",
    "longer life": "OAUTH_FLOW_REJECTED",
    "not ascii": "OAUTH_FLOW_REJECTED",
    "no cookie": "OAUTH_OTHER_BROWSER",
    "other browser": "OAUTH_OTHER_BROWSER",
    "expired": "OAUTH_FLOW_EXPIRED",
    "other version": "OAUTH_FLOW_REJECTED",
    "signed for another connection": "OAUTH_FLOW_REJECTED",
    "signed for another actor": "OAUTH_FLOW_REJECTED",
    "signed for another provider": "OAUTH_MIXED_UP",
    "signed with another nonce": "OAUTH_FLOW_REJECTED",
}


def refusals(bridge: BridgeKit) -> list[tuple[str, str]]:
    """(actor, code) of every refused callback in the audit."""
    rows = bridge.database.rows(
        "SELECT actor, detail FROM hub.audit_log WHERE action = 'connection.callback_refused' ORDER BY seq"
    )
    return [(row["actor"], row["detail"]["code"]) for row in rows]


def test_what_does_not_fit_is_refused_and_audited_and_what_was_not_written_here_learns_nothing(
    bridge: BridgeKit,
) -> None:
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
        "signed with another nonce": (signed(state, nonce="n"), cookie),
    }
    for name, (attempt, brought) in attempts.items():
        answer = bridge.callback(attempt, brought)
        assert (answer.status_code, MISFITS[name] in answer.text) == (400, True), name
        assert (ONE_TEXT in answer.text) == (MISFITS[name] == "OAUTH_FLOW_REJECTED"), name
        assert refusals(bridge)[-1][1] == MISFITS[name], name
        assert "admin" not in answer.text, name
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
    assert "OAUTH_OTHER_PERSON" in other.text
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
    bridge.database.execute("UPDATE hub.oauth_flow SET expires_at = expires_at - interval '601 s'")
    answer = bridge.callback(query["state"], cookie)
    assert (answer.status_code, "OAUTH_FLOW_EXPIRED" in answer.text) == (400, True)
    assert (bridge.identity.exchanges, refusals(bridge)) == ([], [("admin", "OAUTH_FLOW_EXPIRED")])


def test_a_flood_of_forged_callbacks_does_not_fill_the_audit(bridge: BridgeKit) -> None:
    request = ("GET", f"{API}/connect/callback", None, {}, {"params": {"state": "forged"}})
    for _ in range(4):
        assert {answer.status_code for answer in bridge.calls(*[request] * 20)} == {400}
    assert 60 <= len(refusals(bridge)) < 80  # callbacks at the same time may all be the sixtieth


def test_of_twenty_callbacks_at_once_exactly_one_is_exchanged(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    params = {"state": query["state"], "code": "c"}
    request = ("GET", f"{API}/connect/callback", None, {"Cookie": cookie}, {"params": params})
    answers = bridge.calls(*[request] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert len(bridge.identity.exchanges) == 1
    late = bridge.callback(query["state"], cookie)
    assert (late.status_code, SPENT in late.text, len(bridge.identity.exchanges)) == (400, True, 1)
    assert refusals(bridge) == [("admin", "OAUTH_FLOW_SPENT")] * 20
    assert (
        bridge.database.rows("SELECT 1 FROM hub.oauth_flow WHERE verifier_ciphertext IS NOT NULL")
        == []
    )


EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("brought", "code"),
    [
        ({"error": "access_denied"}, "CONSENT_DENIED"),
        ({"error": "invalid_scope"}, "CONSENT_SCOPE"),
        ({"error": "unauthorized_client"}, "CONSENT_CLIENT"),
        ({"error": "server_error"}, "CONSENT_PROVIDER_ERROR"),
        ({"error": "temporarily_unavailable"}, "CONSENT_PROVIDER_BUSY"),
        ({"error": "login_required"}, "CONSENT_NO_LOGIN"),
        ({"error": "consent_required"}, "CONSENT_NOT_ASKED"),
        ({"error": EVIL}, "CONSENT_FAILED"),
        ({"code": ""}, "CODE_MISSING"),
        ({"iss": "https://identity.evil.test"}, "OAUTH_ISSUER_MISMATCH"),
        ({"iss": "https://identity.example.test.evil.test"}, "OAUTH_ISSUER_MISMATCH"),
    ],
)
def test_each_way_to_say_no_has_its_own_sentence_and_spends_the_flow(
    bridge: BridgeKit, brought: dict[str, str], code: str
) -> None:
    bridge.create()
    query, cookie = bridge.start()
    answer = bridge.callback(query["state"], cookie, error_description=EVIL, **brought)
    assert (answer.status_code, code in answer.text, "alert(1)" in answer.text) == (
        400,
        True,
        False,
    )
    assert SPENT in bridge.callback(query["state"], cookie).text
    assert bridge.identity.exchanges == []
    assert bridge.audit()[-2:] == [
        "admin connection.connect_failed",
        "admin connection.callback_refused",
    ]


def test_the_sentences_differ() -> None:
    texts = [text for _, text, _ in _DENIALS.values()] + [text for text, _ in _MISFITS.values()]
    assert len(set(texts)) == len(texts)


def test_the_issuer_that_was_asked_is_accepted(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    answer = bridge.callback(query["state"], cookie, iss="https://identity.example.test")
    assert answer.status_code == 200


def test_a_page_without_a_script_inside_tells_the_opener_and_escapes_every_value(
    bridge: BridgeKit,
) -> None:
    made = {"key": "acme", "label": "A<b>\"'&", "environment": "production"}
    assert bridge.call("POST", f"{API}/connections", made).status_code == 201
    query, cookie = bridge.start()
    answer = bridge.callback(query["state"], cookie)
    assert "A&lt;b&gt;&quot;&#x27;&amp; is connected." in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script[^>]*>[^<]*", answer.text) == ['<script src="/static/connect.js">']
    assert (
        'data-outcome="connected" data-code="CONNECTED" data-provider="bqe" data-connection="acme"'
        in answer.text
    )
    for name, kind in (("connect.js", "text/javascript"), ("connect.css", "text/css")):
        file = bridge.call("GET", f"/static/{name}", headers={})
        assert (file.status_code, file.headers["content-type"].partition(";")[0]) == (200, kind)
    assert bridge.call("GET", "/static/app.py", headers={}).status_code == 422


def test_scopes_that_were_not_granted_are_listed(bridge: BridgeKit) -> None:
    bridge.create()
    query, cookie = bridge.start()
    bridge.identity.grant = replace(bridge.identity.grant, missing_scopes=("read:core",))
    assert "it left out: read:core." in bridge.callback(query["state"], cookie).text
    assert bridge.status()["missing_scopes"] == ["read:core"]


def test_a_consent_without_a_refresh_token_is_refused_in_words(connected: BridgeKit) -> None:
    before = connected.status()
    query, cookie = connected.start()
    connected.identity.grant = replace(connected.identity.grant, refresh_token=None)
    answer = connected.callback(query["state"], cookie)
    assert (answer.status_code, "REFRESH_TOKEN_MISSING" in answer.text) == (409, True)
    assert connected.status() == before


@pytest.mark.parametrize(
    ("error", "expected"), [(GrantRejected("no <b>grant</b>"), 409), (TransientError("later"), 503)]
)
def test_a_failed_exchange_keeps_the_connection_as_it_was(
    connected: BridgeKit, error: Exception, expected: int
) -> None:
    before = connected.status()
    query, cookie = connected.start()
    connected.identity.error = error
    answer = connected.callback(query["state"], cookie)
    assert (answer.status_code, "<b>" in answer.text) == (expected, False)
    assert connected.status() == before
    assert connected.audit()[-1] == "admin connection.connect_failed"


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


def test_the_app_that_a_secret_ref_names_signs_in(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms: list[dict[str, str]] = []

    class Poster:
        def __init__(self, **_: Any) -> None: ...

        def post_form(self, url: str, form: dict[str, str], **_: Any) -> HttpResponse:
            forms.append(form)
            body = {"access_token": "a", "refresh_token": "r", "endpoint": GRANTED_BASE}
            return HttpResponse(200, {}, json.dumps(body).encode())

    monkeypatch.setattr(auth_wiring, "RequestsFormPoster", Poster)
    kit = BridgeKit(database_url, BQE_COMPANY_ID=COMPANY)
    try:
        kit.app.dependency_overrides.pop(deps.auth_clients)
        site = {"airflow:site_app": ("id-of-the-app", "site-secret-canary")}
        kit.app.state.bridge = replace(kit.app.state.bridge, resolve=site.__getitem__)
        kit.secrets.add("site-secret-canary")
        kit.create()
        kit.call("PATCH", f"{API}/connections/acme", {"secret_ref": "airflow:site_app"})
        query, cookie = kit.start()
        assert query["client_id"] == "id-of-the-app"
        assert kit.callback(query["state"], cookie).status_code == 200
        (form,) = forms
        assert (form["client_id"], form["client_secret"]) == site["airflow:site_app"]
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
