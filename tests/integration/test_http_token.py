"""The HTTP client and its token: renewed once, for everybody, never sent elsewhere, never logged."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations_hub.errors import AuthorizationNeeded, HostNotAllowed, TokenNotReady
from integrations_hub.transport.log_guard import GUARD
from tests.kit.fake_time import FakeClock
from tests.kit.provider_http import Tokens, client
from tests.kit.scripted_server import Answer, ScriptedServer

EXPIRED = Answer(401, b"", {"WWW-Authenticate": 'Bearer,error="invalid_token"'})


def test_a_401_renews_the_token_once_and_repeats_the_request():
    with ScriptedServer(EXPIRED, Answer()) as server:
        tokens, clock = Tokens(server.url), FakeClock()
        with client(tokens, clock=clock) as (http, _):
            tokens.states = ["ready", "refreshing", "refreshing"]
            http.get("/w", {})
            assert [asked.headers["authorization"] for asked in server.asked] == [
                "Bearer bearer-1",
                "Bearer bearer-2",
            ]
            assert (tokens.rejected, tokens.lookups) == ([1], 4)
            assert sum(clock.slept) == 2
            http.get("/w", {})
            assert tokens.lookups == 4, "the renewed token is kept"


def test_a_second_401_asks_a_person():
    with ScriptedServer(EXPIRED) as server:
        tokens = Tokens(server.url)
        with client(tokens) as (http, _), pytest.raises(AuthorizationNeeded):
            http.get("/w", {})
        assert (tokens.rejected, len(server.asked)) == ([1], 2)


def test_a_missing_subscription_renews_nothing():
    with ScriptedServer(Answer(401, b"not subscribed")) as server:
        tokens = Tokens(server.url)
        with client(tokens) as (http, _), pytest.raises(Exception, match="401"):
            http.get("/w", {})
        assert tokens.rejected == []


def test_a_refused_connection_says_why():
    with ScriptedServer() as server, client(Tokens(server.url, "refused")) as (http, _):
        with pytest.raises(AuthorizationNeeded, match="of a reason") as caught:
            http.get("/w", {})
        assert caught.value.hint == "Do this."
        assert server.asked == []


def test_a_token_that_does_not_come_within_a_minute_is_a_retry_with_heartbeats():
    beats: list[float] = []
    clock = FakeClock()
    tokens = Tokens("http://127.0.0.1", *["refreshing"] * 1000)
    with (
        client(tokens, clock=clock, heartbeat=lambda: beats.append(clock.monotonic())) as (
            http,
            _,
        ),
        pytest.raises(TokenNotReady),
    ):
        http.get("/w", {})
    assert 60 <= clock.monotonic() < 62
    assert len(beats) >= 3


def test_a_bearer_is_never_sent_to_a_host_that_is_not_allowed():
    with (
        ScriptedServer() as server,
        client(Tokens(server.url), ACME_ALLOWED_HOSTS="api.acme.example") as (http, _),
    ):
        with pytest.raises(HostNotAllowed):
            http.get("/w", {})
        assert server.asked == []


def test_four_threads_share_one_renewal():
    """Every request with the first token gets 401, however they interleave."""

    class Guarded(ScriptedServer):
        def _take(self, asked):
            super()._take(asked)
            return EXPIRED if asked.headers["authorization"] == "Bearer bearer-1" else Answer()

    with Guarded() as server:
        tokens = Tokens(server.url)
        with client(tokens) as (http, budget), ThreadPoolExecutor(4) as pool:
            assert {a.status for a in pool.map(lambda n: http.get(f"/w/{n}", {}), range(40))} == {
                200
            }
            assert tokens.rejected == [1]
            assert http.requests == len(server.asked) == budget.total


def test_nothing_secret_is_logged_at_debug(caplog):
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(EXPIRED, Answer()) as server, client(Tokens(server.url)) as (http, _):
        http.get("/w", {"where": "x"})
    lines = [record.getMessage() for record in caplog.records]
    assert not [line for line in lines if "bearer-" in line]
    assert "bearer-2" not in GUARD.redact("somebody else logs bearer-2")
    assert [
        line
        for line in lines
        if "request_answered" in line and "path=/w" in line and "request_id=run-7" in line
    ]
