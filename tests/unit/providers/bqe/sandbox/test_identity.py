"""The identity server: one-time tokens, revocation, userinfo."""

from __future__ import annotations

import base64

import jwt
import pytest

from tests.kit.sandbox_app import CALLBACK, VERIFIER, WEB, SandboxApp


@pytest.fixture
def app() -> SandboxApp:
    """A fresh sandbox."""
    return SandboxApp()


def test_token_answer_has_the_recorded_members(app: SandboxApp) -> None:
    answer = app.connect()
    assert set(answer) == {
        "access_token",
        "expires_in",
        "token_type",
        "refresh_token",
        "id_token",
        "scope",
        "endpoint",
    }
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    assert answer["endpoint"] == "http://sandbox.test/api/"
    assert app.api("/project", answer["access_token"]).status_code == 200


def test_id_token_names_the_company_and_verifies(app: SandboxApp) -> None:
    token = app.connect(company="B", nonce="n1")["id_token"]
    discovery = app.call("GET", "/idp/.well-known/openid-configuration").json()
    keys = app.call("GET", discovery["jwks_uri"]).json()["keys"]
    claims = jwt.decode(
        token,
        jwt.PyJWK(keys[0]).key,
        algorithms=["RS256"],
        audience="hub-sandbox-web",
        issuer=discovery["issuer"],
    )
    company = app.api("/company", app.connect(company="B")["access_token"]).json()[0]
    assert claims["companyId"] == company["id"]
    assert claims["nonce"] == "n1"
    assert discovery["grant_types_supported"] == ["authorization_code", "refresh_token"]


def test_code_is_single_use(app: SandboxApp) -> None:
    code = app.code()
    assert app.exchange(code).status_code == 200
    again = app.exchange(code)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": CALLBACK + "/"},
        {"client_id": "hub-sandbox-web-no-offline"},
        {"code": "guess"},
    ],
)
def test_code_of_another_dance_is_refused(app: SandboxApp, change: dict[str, str]) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": app.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **change,
    }
    assert app.token(**form).json() == {"error": "invalid_grant"}


def test_code_expires(app: SandboxApp) -> None:
    app.control("/clock", {"now": "2026-01-01T00:00:00Z"})
    code = app.code()
    app.control("/clock", {"now": "2026-01-01T00:05:00Z"})
    assert app.exchange(code).json() == {"error": "invalid_grant"}


def test_refresh_token_is_one_time(app: SandboxApp) -> None:
    first = app.connect()["refresh_token"]
    second = app.refresh(first).json()
    assert second["endpoint"].endswith("/api/")
    reuse = app.refresh(first)
    assert (reuse.status_code, reuse.json()) == (400, {"error": "invalid_grant"})
    assert app.refresh(second["refresh_token"]).status_code == 200


def test_reuse_revokes_the_family_when_switched(app: SandboxApp) -> None:
    app.control("/switch", {"reuse_revokes_family": True})
    first = app.connect()["refresh_token"]
    second = app.refresh(first).json()
    app.refresh(first)
    assert app.refresh(second["refresh_token"]).json() == {"error": "invalid_grant"}
    assert app.api("/project", second["access_token"]).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "refresh_token", "client_secret": ""}, "invalid_client"),
        ({"grant_type": "refresh_token", "client_id": "unknown"}, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "guess"}, "invalid_grant"),
    ],
)
def test_token_endpoint_refuses(app: SandboxApp, form: dict[str, str], error: str) -> None:
    answer = app.token(**form)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_web_app_needs_secret_or_pkce(app: SandboxApp) -> None:
    plain = {"code_challenge": "", "code_challenge_method": ""}
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "client_secret": ""}
    neither = app.token(**form, code=app.code(**plain))
    assert neither.json() == {"error": "invalid_client"}
    pkce = app.token(**form, code=app.code(), code_verifier=VERIFIER)
    assert pkce.status_code == 200
    app.control("/switch", {"pkce_replaces_secret": False})
    strict = app.token(**form, code=app.code(), code_verifier=VERIFIER)
    assert strict.json() == {"error": "invalid_client"}


@pytest.mark.parametrize(("secret", "status"), [("hub-sandbox-secret", 200), ("wrong", 400)])
def test_secret_may_come_by_http_basic(app: SandboxApp, secret: str, status: int) -> None:
    packed = base64.b64encode(f"hub-sandbox-web:{secret}".encode()).decode()
    form = {
        "grant_type": "authorization_code",
        "code": app.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    headers = {"Authorization": f"Basic {packed}"}
    assert app.call("POST", "/idp/connect/token", data=form, headers=headers).status_code == status


def test_native_app_gets_no_refresh_token(app: SandboxApp) -> None:
    def exchange(scope: str) -> dict[str, object]:
        form = {
            "grant_type": "authorization_code",
            "client_id": "hub-sandbox-native",
            "code": app.code(scope, client_id="hub-sandbox-native"),
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return dict(app.call("POST", "/idp/connect/token", data=form).json())

    assert exchange("read:core offline_access") == {"error": "unauthorized_client"}
    assert "refresh_token" not in exchange("read:core")


def test_web_app_without_offline_access_gets_no_refresh_token(app: SandboxApp) -> None:
    client = {"client_id": "hub-sandbox-web-no-offline"}
    answer = app.exchange(app.code(**client), **client)
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()


@pytest.mark.parametrize("path", ["token", "revocation", "authorize"])
def test_other_content_type_is_415(app: SandboxApp, path: str) -> None:
    assert app.call("POST", f"/idp/connect/{path}", json=WEB).status_code == 415


def test_revocation_kills_the_grant_and_ignores_strangers(app: SandboxApp) -> None:
    tokens = app.connect()
    for token in (tokens["refresh_token"], "unknown"):
        answer = app.call("POST", "/idp/connect/revocation", data={**WEB, "token": token})
        assert answer.status_code == 200
    assert app.refresh(tokens["refresh_token"]).json() == {"error": "invalid_grant"}
    assert app.api("/project", tokens["access_token"]).status_code == 401
    stranger = {"client_id": "hub-sandbox-web", "token": "x"}
    assert app.call("POST", "/idp/connect/revocation", data=stranger).status_code == 400


@pytest.mark.parametrize(
    ("scope", "token", "status", "sign"),
    [
        ("read:core openid", None, 200, None),
        ("read:core", None, 403, 'Bearer,error="insufficient_scope"'),
        ("read:core", "dead", 401, 'Bearer,error="invalid_token"'),
    ],
)
def test_userinfo(
    app: SandboxApp, scope: str, token: str | None, status: int, sign: str | None
) -> None:
    token = token or app.connect(scope=scope)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = app.call("GET", "/idp/connect/userinfo", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("www-authenticate") == sign


def test_access_token_expires_on_the_sandbox_clock(app: SandboxApp) -> None:
    app.control("/switch", {"expires_in": 120})
    app.control("/clock", {"now": "2026-01-01T00:00:00Z"})
    answer = app.connect()
    assert answer["expires_in"] == 120
    app.control("/clock", {"now": "2026-01-01T00:02:00Z"})
    dead = app.api("/project", answer["access_token"])
    assert (dead.status_code, dead.content) == (401, b"")
    assert dead.headers["www-authenticate"] == 'Bearer,error="invalid_token"'
    assert dead.headers["date"] == "Thu, 01 Jan 2026 00:02:00 GMT"


def test_token_is_bound_to_its_company_and_scope(app: SandboxApp) -> None:
    small = app.connect(company="B")["access_token"]
    assert app.api("/project", small, fields="count(*)").json() == [{"count": 20}]
    blind = app.connect(scope="openid")["access_token"]
    assert app.api("/project", blind).status_code == 403


@pytest.mark.parametrize(
    ("form", "endpoint"),
    [
        ("bare", "http://sandbox.test/api"),
        ("missing", None),
        ("foreign", "https://api.elsewhere.invalid/api/"),
        ("https://own.invalid/x", "https://own.invalid/x"),
    ],
)
def test_endpoint_can_be_misshapen(app: SandboxApp, form: str, endpoint: str | None) -> None:
    app.control("/switch", {"endpoint_form": form})
    assert app.connect().get("endpoint") == endpoint
