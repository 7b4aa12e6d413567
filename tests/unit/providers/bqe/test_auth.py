"""The auth client: what is sent where, and the API base only on pinned hosts."""

import json

import pytest

from integrations_hub.errors import (
    GrantRejected,
    HostNotAllowed,
    ProviderContractError,
    SettingInvalid,
)
from integrations_hub.ports.outside import HttpResponse
from providers.bqe.auth import build
from tests.kit.acme import acme


class FakePoster:
    """Answers every post with one answer and keeps what was posted."""

    def __init__(self, body: dict, status: int = 200) -> None:
        self.answer = HttpResponse(status, {}, json.dumps(body).encode())
        self.posts: list[tuple[str, dict]] = []

    def post_form(self, url, form):
        self.posts.append((url, dict(form)))
        return self.answer


GOOD = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_in": 3600,
    "endpoint": "https://api.acme.example/api/",
}


def client(body: dict = GOOD, status: int = 200, **environ: str):
    poster = FakePoster(body, status)
    return build(
        acme(), poster=poster, client_id="app", client_secret="hush", environ=environ
    ), poster


def test_a_code_is_exchanged_with_verifier_and_exact_redirect():
    auth, poster = client()
    grant = auth.exchange(code="c", redirect_uri="https://hub.example/cb", code_verifier="v")
    assert poster.posts == [
        (
            "https://id.acme.example/idp/connect/token",
            {
                "grant_type": "authorization_code",
                "code": "c",
                "redirect_uri": "https://hub.example/cb",
                "code_verifier": "v",
                "client_id": "app",
                "client_secret": "hush",
            },
        )
    ]
    assert grant.api_base_url == "https://api.acme.example/api", "without the trailing slash"


def test_a_refresh_spends_the_token_once():
    auth, poster = client()
    auth.refresh("r0")
    assert [form["refresh_token"] for _, form in poster.posts] == ["r0"]


def test_a_refresh_without_endpoint_keeps_the_known_one():
    auth, _ = client({"access_token": "a"})
    assert auth.refresh("r0").api_base_url is None


def test_a_consent_without_endpoint_is_refused():
    auth, _ = client({"access_token": "a"})
    with pytest.raises(ProviderContractError, match="endpoint"):
        auth.exchange(code="c", redirect_uri="r", code_verifier="v")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.test/api",
        "http://api.acme.example/api",
        "https://api.acme.example@evil.test/",
        "api.acme.example",
    ],
)
def test_an_endpoint_on_another_host_is_refused_and_a_spent_token_still_pays(endpoint):
    auth, _ = client(GOOD | {"endpoint": endpoint})
    with pytest.raises(HostNotAllowed):
        auth.exchange(code="c", redirect_uri="r", code_verifier="v")
    grant = auth.refresh("r0")
    assert (grant.api_base_url, grant.refresh_token) == (None, "r")


def test_an_operator_overrides_base_scopes_and_hosts():
    auth, poster = client(
        GOOD | {"endpoint": "http://127.0.0.1:8123/api/"},
        ACME_AUTH_BASE_URL="http://127.0.0.1:8123/idp/",
        ACME_SCOPES="read, openid",
        ACME_ALLOWED_HOSTS="127.0.0.1",
    )
    assert auth.refresh("r").api_base_url == "http://127.0.0.1:8123/api"
    assert poster.posts[0][0] == "http://127.0.0.1:8123/idp/connect/token"
    assert "scope=read+openid" in auth.authorize_url(
        redirect_uri="r", state="s", code_challenge="c"
    )


def test_an_insecure_identity_server_is_refused():
    with pytest.raises(SettingInvalid, match="ACME_AUTH_BASE_URL"):
        client(ACME_AUTH_BASE_URL="http://id.acme.example/idp")


def test_a_rejected_grant_is_told_from_trouble():
    auth, _ = client({"error": "invalid_grant"}, 400)
    with pytest.raises(GrantRejected):
        auth.refresh("r")


def test_no_secret_shows_in_a_repr():
    auth, _ = client()
    assert "hush" not in repr(auth)
