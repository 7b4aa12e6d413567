"""OAuth without I/O: addresses, forms, token answers."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations_hub.errors import (
    GrantRejected,
    OutcomeUnknown,
    ProviderContractError,
    TransientError,
)
from integrations_hub.ports.outside import HttpResponse
from integrations_hub.transport import oauth


def parse(body: object, status: int = 200, **headers: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return oauth.parse_token_answer(
        HttpResponse(status, headers, content),
        endpoint_member="endpoint",
        company_claim="companyId",
    )


def id_token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.sig"


FULL = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_in": 3600,
    "token_type": "Bearer",
    "scope": "read",
    "endpoint": "https://api.example/x/",
}


def test_a_full_answer():
    grant = parse(FULL | {"id_token": id_token({"companyId": "co-1"})})
    assert (grant.access_token, grant.refresh_token, grant.expires_in_s) == ("a", "r", 3600)
    assert (grant.api_base_url, grant.company_id, grant.scope) == (
        "https://api.example/x/",
        "co-1",
        "read",
    )


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        ("3600.5", 3600),
        (59, 60),
        (1, 60),
        (0, 3300),
        (-1, 3300),
        (None, 3300),
        ("soon", 3300),
        (True, 3300),
        ([], 3300),
        ("inf", 3300),
        (10**12, 366 * 86400),
    ],
)
def test_a_lifetime_is_read_leniently(sent, seconds):
    assert parse(FULL | {"expires_in": sent}).expires_in_s == seconds


def test_members_that_are_missing_are_none():
    grant = parse({"access_token": "a"})
    assert (grant.refresh_token, grant.expires_in_s, grant.api_base_url, grant.company_id) == (
        None,
        3300,
        None,
        None,
    )


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "a.!!.c",
        "a.YQ.c",
        id_token([]),
        id_token({}),
        id_token({"companyId": ""}),
        id_token({"companyId": True}),
        7,
        "a." + "é" + ".c",
    ],
)
def test_an_id_token_without_a_readable_company_names_none(token):
    assert parse(FULL | {"id_token": token}).company_id is None


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": 5}, FULL | {"token_type": "mac"}]
)
def test_an_answer_without_a_bearer_token_breaks_the_contract(body):
    with pytest.raises(ProviderContractError):
        parse(body)


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_client", "unauthorized_client"])
@pytest.mark.parametrize("status", [400, 401])
def test_three_error_codes_reject_the_grant(code, status):
    with pytest.raises(GrantRejected, match=code):
        parse({"error": code}, status)


def test_a_wrong_client_secret_is_not_blamed_on_the_grant():
    with pytest.raises(GrantRejected) as caught:
        parse({"error": "invalid_client"}, 401)
    assert "client id and client secret" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": "slow_down"}),
        (500, {"error": "invalid_grant"}),
        (503, b"<html>"),
        (400, b"<html>"),
        (200, b"<html>"),
        (403, b""),
        (502, b"invalid_grant"),
        (200, b"[]"),
    ],
)
def test_answers_that_say_nothing_about_the_grant_are_transient(status, body):
    with pytest.raises(TransientError):
        parse(body, status)


@pytest.mark.parametrize(
    ("status", "body", "unknown"),
    [
        (200, b"<html>", True),
        (500, b"x", True),
        (502, b"x", True),
        (504, b"x", True),
        (503, b"x", False),
        (429, b"{}", False),
        (400, b"<html>", False),
    ],
)
def test_an_answer_behind_which_the_token_may_be_spent_is_told_from_a_clear_no(
    status, body, unknown
):
    with pytest.raises(TransientError) as caught:
        parse(body, status)
    assert isinstance(caught.value, OutcomeUnknown) == unknown


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("invalid_grant", "GRANT_REJECTED"),
        ("invalid_client", "CLIENT_REJECTED"),
        ("unauthorized_client", "CLIENT_REJECTED"),
    ],
)
def test_a_rejection_names_grant_or_app(error, code):
    with pytest.raises(GrantRejected) as caught:
        parse({"error": error}, 400)
    assert caught.value.code == code


def test_a_pause_of_the_identity_server_is_kept():
    with pytest.raises(TransientError) as caught:
        parse(b"", 503, **{"retry-after": "90"})
    assert caught.value.retry_after_s == 90


@pytest.mark.parametrize(
    "error", ["invalid_scope", "unsupported_grant_type", "<script>", None, {"a": 1}]
)
def test_other_error_codes_break_the_contract_and_odd_ones_are_not_shown(error):
    with pytest.raises(ProviderContractError) as caught:
        parse({"error": error}, 400)
    assert "<script>" not in str(caught.value)


def test_pkce_pairs_fit_and_differ():
    verifier, challenge = oauth.pkce_pair()
    assert 43 <= len(verifier) <= 128
    assert challenge == oauth.challenge_of(verifier)
    assert oauth.pkce_pair()[0] != verifier
    # RFC 7636, appendix B
    assert (
        oauth.challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_the_authorize_url_carries_everything_once():
    url = oauth.authorize_url(
        "https://id.example/auth",
        client_id="app",
        redirect_uri="https://hub.example/cb?x=1",
        scope="read offline_access",
        state="s&t",
        code_challenge="c",
    )
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": ["app"],
        "redirect_uri": ["https://hub.example/cb?x=1"],
        "scope": ["read offline_access"],
        "state": ["s&t"],
        "code_challenge": ["c"],
        "code_challenge_method": ["S256"],
    }


def test_without_pkce_no_challenge_is_sent():
    url = oauth.authorize_url(
        "https://id.example/auth",
        client_id="a",
        redirect_uri="r",
        scope="s",
        state="t",
        code_challenge=None,
    )
    assert "challenge" not in url
    assert "code_verifier" not in oauth.code_form(
        code="c", redirect_uri="r", code_verifier=None, client_id="a", client_secret="s"
    )
