"""Redaction: every form a secret may take in a log, and ordinary text left alone."""

import json

import pytest

from integrations_hub.domain.redaction import redact_sensitive, redact_text

SECRET = "s3cr3t-Value_9"

FORMS = [
    f"Authorization: Bearer {SECRET}",
    f"{{'Authorization': 'Bearer {SECRET}'}}",
    f'{{"access_token": "{SECRET}", "expires_in": 3600}}',
    json.dumps(json.dumps({"refresh_token": SECRET})),
    f"grant_type=refresh_token&refresh_token={SECRET}&client_id=app",
    f"code={SECRET}&state=abc",
    f"https://idp.example/cb?code={SECRET}&state={SECRET}",
    f"https://idp.example/cb#access_token={SECRET}",
    f"GET /login?next=%2Fcb%3Fcode%3D{SECRET}%26x%3D1",
    f"https://user:{SECRET}@host.example/path",
    f"client_secret={SECRET}",
    f"refresh_token is gone, BQE_CLIENT_SECRET={SECRET} was used",
    f"(b'authorization', b'Bearer {SECRET}')",
    f"Bearer {SECRET}",
    f"kwargs {{'code_verifier': '{SECRET}'}}",
    f'payload={{"state":"{SECRET}"}}',
]


@pytest.mark.parametrize("text", FORMS)
def test_no_form_of_a_secret_stays_in_text(text):
    assert SECRET not in redact_text(text)
    assert SECRET not in str(redact_sensitive(ValueError(text)))


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "client_secret",
        "REFRESH_TOKEN",
        "access_token",
        "id_token",
        "code",
        "code_verifier",
        "state",
    ],
)
def test_sensitive_keys_are_masked_at_any_depth(name):
    data = {"a": [{"b": ({name: SECRET, "kept": 1},)}], "pair": [name, SECRET]}
    redacted = redact_sensitive(data)
    assert SECRET not in str(redacted)
    assert redacted["a"][0]["b"][0]["kept"] == 1
    assert data["a"][0]["b"][0][name] == SECRET, "the original is left alone"


@pytest.mark.parametrize(
    "text",
    [
        "error code=404",
        "run 12 in state running",
        "the code was refused",
        "page=2&fields=id,code,state",
        "https://api.example/project?fields=id,code&page=1,500",
        "authorization needed",
        "",
    ],
)
def test_ordinary_words_stay(text):
    assert redact_text(text) == text


def test_values_that_are_no_text_come_back_as_they_are():
    assert redact_sensitive({"n": 3, "none": None, "code": None}) == {
        "n": 3,
        "none": None,
        "code": None,
    }


def test_redacting_twice_changes_nothing():
    for text in FORMS:
        once = redact_text(text)
        assert redact_text(once) == once
