"""The consent page and where it sends the person back to."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.kit.sandbox_app import CALLBACK, CHALLENGE, SandboxApp

ASK = {
    "client_id": "hub-sandbox-web",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "read:core",
    "state": "s",
}


@pytest.fixture
def app() -> SandboxApp:
    """A fresh sandbox."""
    return SandboxApp()


def test_consent_page_works_without_script_and_refuses_framing(app: SandboxApp) -> None:
    page = app.call("GET", "/idp/connect/authorize", params={**ASK, "state": '"><script>'})
    assert page.status_code == 200
    assert "<script" not in page.text
    assert '<label for="company">' in page.text
    assert 'name="decision" value="allow"' in page.text
    assert page.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
        ({"client_id": "hub-sandbox-native"}, "invalid_request"),
    ],
)
def test_wrong_request_goes_back_with_its_error(
    app: SandboxApp, change: dict[str, str], error: str
) -> None:
    answer = app.call("GET", "/idp/connect/authorize", params={**ASK, **change})
    assert answer.status_code == 302
    given = parse_qs(urlsplit(answer.headers["location"]).query)
    assert given == {"error": [error], "state": ["s"]}


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "unknown"},
        {"redirect_uri": "https://elsewhere.invalid/connect/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": "http://127.0.0.1.elsewhere.invalid/connect/callback"},
        {"redirect_uri": CALLBACK + "?next=1"},
    ],
)
def test_bad_client_or_redirect_is_never_redirected(
    app: SandboxApp, change: dict[str, str]
) -> None:
    answer = app.call("GET", "/idp/connect/authorize", params={**ASK, **change})
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_redirect_must_match_the_registered_one_exactly() -> None:
    app = SandboxApp(redirect_uris=("https://hub.example/cb/",))
    for uri, status in (("https://hub.example/cb/", 200), ("https://hub.example/cb", 400)):
        ask = {**ASK, "redirect_uri": uri}
        assert app.call("GET", "/idp/connect/authorize", params=ask).status_code == status


def test_deny_and_unknown_company(app: SandboxApp) -> None:
    denied = app.call("POST", "/idp/connect/authorize", data={**ASK, "decision": "deny"})
    assert denied.headers["location"] == f"{CALLBACK}?error=access_denied&state=s"
    strange = {**ASK, "decision": "allow", "company": "Z"}
    assert app.call("POST", "/idp/connect/authorize", data=strange).status_code == 400


def test_consent_can_be_automatic(app: SandboxApp) -> None:
    app.control("/switch", {"auto_consent": "B"})
    answer = app.call("GET", "/idp/connect/authorize", params=ASK)
    assert answer.status_code == 302
    assert "code=" in answer.headers["location"]


def test_authorize_query_survives_the_form(app: SandboxApp) -> None:
    query = {**ASK, "code_challenge": CHALLENGE, "code_challenge_method": "S256", "state": "a&b=ü"}
    page = app.call("GET", f"/idp/connect/authorize?{urlencode(query)}")
    assert 'value="a&amp;b=ü"' in page.text
