from __future__ import annotations

import json

import httpx
import pytest

from integrations_hub.cli.hub_client import HubClient
from integrations_hub.errors import HubError, NotFound, ProviderUnreachable


def client(answer: httpx.Response | Exception, seen: list[httpx.Request]) -> HubClient:
    def play(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = HubClient("http://hub.test", "acme")
    made._http = httpx.Client(transport=httpx.MockTransport(play))
    return made


def test_the_login_goes_with_every_further_request() -> None:
    seen: list[httpx.Request] = []
    hub = client(httpx.Response(201, json={"access_token": "t0ken"}), seen)
    hub.log_in("admin", "pw")
    hub.run_now("things", "main")
    assert "authorization" not in seen[0].headers
    assert seen[1].headers["authorization"] == "Bearer t0ken"
    assert (
        str(seen[1].url) == "http://hub.test/hub/api/integrations/acme/things/run?connection=main"
    )
    assert json.loads(seen[1].content) == {"mode": "scheduled"}


def test_the_bridges_own_words_are_passed_on() -> None:
    told = {"code": "RULE_INVALID", "message": "schedule is missing", "hint": "Add it."}
    with pytest.raises(HubError) as caught:
        client(httpx.Response(422, json=told), []).save_rule("things", "main", {})
    assert caught.value.code == "RULE_INVALID"
    assert "schedule is missing" in caught.value.message
    assert caught.value.hint == "Add it."


def test_a_missing_connection_is_none() -> None:
    hub = client(httpx.Response(404, json={"code": "NOT_FOUND", "message": "no such"}), [])
    assert hub.connection("main") is None
    with pytest.raises(NotFound):
        hub.job(1)


def test_no_answer_is_a_sentence() -> None:
    with pytest.raises(ProviderUnreachable, match="got no answer"):
        client(httpx.ConnectError("refused"), []).job(1)


def test_an_answer_that_is_no_json_is_a_sentence() -> None:
    with pytest.raises(HubError, match="502: Bad gateway"):
        client(httpx.Response(502, text="Bad gateway"), []).job(1)
