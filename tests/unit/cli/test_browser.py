from __future__ import annotations

import httpx
import pytest

from integrations_hub.cli.browser import Consent, ConsentForm
from integrations_hub.errors import FlowRejected, ProviderUnreachable

PAGE = """<!doctype html><form method="post" action="authorize">
<input type="hidden" name="state" value="s&amp;1"><input type="hidden" name="scope" value="read">
<select name="company"><option value="A">Aurora</option><option value="B">Birch</option></select>
<button name="decision" value="deny">Deny</button><button name="decision" value="allow">Allow</button>
</form>"""
START = "http://idp.test/connect/authorize?state=s"


def browser(answers: dict[str, httpx.Response], seen: list[httpx.Request]) -> Consent:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers[f"{request.method} {request.url.copy_with(query=None)}"]

    return Consent(httpx.Client(transport=httpx.MockTransport(answer)))


def test_the_form_is_read_as_a_browser_would_send_it() -> None:
    form = ConsentForm()
    form.feed(PAGE)
    assert form.action == "authorize"
    assert form.fields == {"state": "s&1", "scope": "read", "company": "A", "decision": "allow"}


def test_consent_is_given_and_followed_back_to_the_callback() -> None:
    seen: list[httpx.Request] = []
    answers = {
        "GET http://idp.test/connect/authorize": httpx.Response(200, text=PAGE),
        "POST http://idp.test/connect/authorize": httpx.Response(
            302, headers={"location": "http://hub.test/cb/callback?code=1"}
        ),
        "GET http://hub.test/cb/callback": httpx.Response(303, headers={"location": "/hub/"}),
    }
    browser(answers, seen).give(START, until_path="/callback")
    assert [str(request.url.path) for request in seen][-1] == "/cb/callback"
    assert b"decision=allow" in seen[1].content


def test_a_refusing_callback_is_an_error_without_code_or_state() -> None:
    answers = {
        "GET http://idp.test/connect/authorize": httpx.Response(200, text=PAGE),
        "POST http://idp.test/connect/authorize": httpx.Response(
            302, headers={"location": "http://hub.test/callback?code=abc123&state=def456"}
        ),
        "GET http://hub.test/callback": httpx.Response(409),
    }
    with pytest.raises(FlowRejected, match="409") as caught:
        browser(answers, []).give(START, until_path="/callback")
    assert "abc123" not in caught.value.message
    assert "def456" not in caught.value.message


def test_a_page_without_a_form_is_refused() -> None:
    answers = {"GET http://idp.test/connect/authorize": httpx.Response(400, text="unknown client")}
    with pytest.raises(FlowRejected, match="400"):
        browser(answers, []).give(START, until_path="/callback")


def test_a_silent_identity_server_is_named() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    consent = Consent(httpx.Client(transport=httpx.MockTransport(refuse)))
    with pytest.raises(ProviderUnreachable, match=r"idp\.test"):
        consent.give(START, until_path="/callback")
