"""The form poster against a real server: one post, whatever comes back."""

import pytest

from integrations_hub.errors import OutcomeUnknown, ProviderUnreachable, UnexpectedRedirect
from integrations_hub.transport.form_post import RequestsFormPoster
from tests.kit.broken_answers import cut, drip, hang_up, reset
from tests.kit.fake_time import FakeClock, QuickClock
from tests.kit.provider_http import JSON
from tests.kit.scripted_server import Answer, ScriptedServer


def test_a_form_is_posted_once_whatever_the_answer():
    for status in (200, 400, 429, 500, 503):
        with ScriptedServer(Answer(status, b"{}", JSON | {"Retry-After": "1"})) as server:
            answer = RequestsFormPoster(user_agent="Hub/1", clock=FakeClock()).post_form(
                f"{server.url}/t", {"a": "b c"}
            )
            assert (answer.status, len(server.asked)) == (status, 1)
            assert server.asked[0].body == b"a=b+c"
            assert server.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("broken", [cut, hang_up, reset])
def test_a_lost_answer_to_a_form_is_not_tried_again(broken):
    with ScriptedServer(Answer(write=broken)) as server:
        with pytest.raises(OutcomeUnknown) as caught:
            RequestsFormPoster(user_agent="Hub/1", clock=FakeClock()).post_form(
                f"{server.url}/t", {"refresh_token": "canary"}
            )
        assert len(server.asked) == 1
        assert "canary" not in f"{caught.value!r} {caught.value.hint}"


def test_a_form_that_never_left_is_tried_again():
    with ScriptedServer() as server:
        url = server.url
    clock = FakeClock()
    with pytest.raises(ProviderUnreachable, match="refused the connection") as caught:
        RequestsFormPoster(user_agent="Hub/1", clock=clock).post_form(f"{url}/t", {})
    assert not isinstance(caught.value, OutcomeUnknown), "nothing can be spent"
    assert len(clock.slept) == 2


def test_a_redirected_form_takes_its_secrets_nowhere():
    with (
        ScriptedServer() as trap,
        ScriptedServer(Answer(307, b"", {"Location": f"{trap.url}/x"})) as server,
    ):
        with pytest.raises(UnexpectedRedirect):
            RequestsFormPoster(user_agent="Hub/1", clock=FakeClock()).post_form(
                f"{server.url}/t", {"client_secret": "s"}
            )
        assert trap.asked == []


def test_a_dripping_token_answer_ends_before_the_claim_does():
    with ScriptedServer(Answer(write=drip)) as server, pytest.raises(ProviderUnreachable):
        RequestsFormPoster(user_agent="Hub/1", clock=QuickClock()).post_form(f"{server.url}/t", {})
