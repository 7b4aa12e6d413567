"""What a provider's answers mean: status, key and message decide together."""

import json

import pytest

from integrations_hub.errors import (
    AuthorizationNeeded,
    PermissionMissing,
    ProviderContractError,
    RateLimited,
    RequestRejected,
    TransientError,
    UnexpectedRedirect,
)
from integrations_hub.ports.outside import HttpResponse
from integrations_hub.transport.log_guard import GUARD
from integrations_hub.transport.verdict import Verdict
from tests.kit.acme import acme

VERDICT = Verdict(acme())


def answer(status: int, body: object = b"", **headers: str) -> HttpResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {k.replace("_", "-"): v for k, v in headers.items()}, content)


def test_json_passes_and_an_empty_answer_is_empty():
    assert (
        VERDICT.accept(
            answer(200, b"[1]", content_type="application/json; charset=utf-8"), "/w"
        ).content
        == b"[1]"
    )
    assert VERDICT.accept(answer(204, b"noise"), "/w").content == b""


@pytest.mark.parametrize(
    ("response", "leaf"),
    [
        (answer(400, {"Message": "Invalid field"}), RequestRejected),
        (answer(401, b""), AuthorizationNeeded),
        (answer(401, b"Your company is not subscribed"), PermissionMissing),
        (answer(403, {"Message": "no"}), PermissionMissing),
        (answer(403, {"Message": "insufficient_scope"}), AuthorizationNeeded),
        (
            answer(403, b"", www_authenticate='Bearer,error="insufficient_scope"'),
            AuthorizationNeeded,
        ),
        (answer(404), RequestRejected),
        (answer(408), TransientError),
        (answer(409, {"Key": "MsgPermissions", "Message": "no"}), PermissionMissing),
        (answer(409, {"Key": "Other", "Message": "invalid where clause"}), RequestRejected),
        (answer(424, {"Key": "X", "Message": "APISqlError"}), RequestRejected),
        (answer(424, {"Key": "X", "Message": "other"}), ProviderContractError),
        (answer(429), RateLimited),
        (answer(500, b"<html>"), TransientError),
        (answer(503), TransientError),
        (answer(207, [{}]), ProviderContractError),
        (answer(418), ProviderContractError),
        (answer(302, location="https://evil.test/x?y=1"), UnexpectedRedirect),
        (answer(200, b"<html>", content_type="text/html"), ProviderContractError),
        (answer(200, b"[]"), ProviderContractError),
    ],
)
def test_every_other_answer_is_a_leaf(response, leaf):
    with pytest.raises(leaf) as caught:
        VERDICT.accept(response, "/widget")
    assert type(caught.value) is leaf
    assert "/widget" in caught.value.message


def test_the_rules_hint_is_shown():
    with pytest.raises(PermissionMissing) as caught:
        VERDICT.accept(answer(409, {"Key": "MsgPermissions"}), "/w")
    assert caught.value.hint == "Grant the right."


def test_the_providers_words_are_shown_short_redacted_and_with_its_id():
    body = {"Message": "Invalid\nfield access_token=abcdef123 " + "x" * 900, "CorrelationId": "c-1"}
    with pytest.raises(RequestRejected) as caught:
        VERDICT.accept(answer(400, body), "/w")
    assert "abcdef123" not in caught.value.message
    assert "\n" not in caught.value.message
    assert "(its id: c-1)" in caught.value.message
    assert len(caught.value.message) < 450


def test_a_token_in_use_is_masked_before_the_text_is_cut():
    token = "opaque-" + "t0ken" * 20
    GUARD.hide(token)
    body = {"Message": "x" * 250 + token, "CorrelationId": token}
    with pytest.raises(RequestRejected) as caught:
        VERDICT.accept(answer(400, body), "/w")
    assert "opaque" not in caught.value.message
    assert "x***" in caught.value.message


def test_a_body_that_is_no_error_is_never_shown():
    with pytest.raises(TransientError) as caught:
        VERDICT.accept(answer(500, b"<p>Jane Doe</p>"), "/w")
    assert "Jane" not in str(caught.value)


def test_a_quota_says_how_long_to_wait():
    with pytest.raises(RateLimited) as caught:
        VERDICT.accept(answer(429, retry_after="12"), "/w")
    assert caught.value.retry_after_s == 12
    with pytest.raises(RateLimited) as caught:
        VERDICT.accept(answer(429), "/w")
    assert caught.value.retry_after_s == 30


def test_only_a_401_about_the_token_asks_for_a_new_token():
    assert VERDICT.is_stale_token(answer(401))
    assert not VERDICT.is_stale_token(answer(401, b"not subscribed"))
    assert not VERDICT.is_stale_token(answer(403, {"Message": "insufficient_scope"}))


def test_an_answer_nested_too_deep_is_judged_by_its_status():
    with pytest.raises(RequestRejected):
        VERDICT.accept(answer(400, b"[" * 100_000), "/w")
