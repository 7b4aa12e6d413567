"""The HTTP client against a real server: waits, redirects, broken bodies, headers."""

import gzip
import io

import pytest

from integrations_hub.catalog.metadata import RequiredHeader
from integrations_hub.errors import (
    ProviderContractError,
    ProviderUnreachable,
    RateLimited,
    SettingInvalid,
    TransientError,
    UnexpectedRedirect,
)
from tests.kit.acme import acme
from tests.kit.broken_answers import cut, cut_chunk, drip, hang_up, reset
from tests.kit.fake_time import FakeClock, QuickClock
from tests.kit.provider_http import JSON, Tokens, client
from tests.kit.scripted_server import Answer, ScriptedServer


def test_a_request_says_who_asks_and_for_which_run():
    with (
        ScriptedServer(Answer(body=b'[{"id": 1}]')) as server,
        client(Tokens(server.url + "/api/")) as (http, budget),
    ):
        answer = http.get(
            "/widget", {"fields": "id", "where": "a >= '2026-03-01T00:00:00' AND b is null"}
        )
        assert answer.content == b'[{"id": 1}]'
        asked = server.asked[0]
        assert asked.path.startswith(
            "/api/widget?fields=id&where=a+%3E%3D+%272026-03-01T00%3A00%3A00%27"
        )
        for name, value in {
            "authorization": "Bearer bearer-1",
            "x-request-id": "run-7",
            "user-agent": "Hub/1",
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
        }.items():
            assert asked.headers[name] == value
        assert (http.requests, budget.total) == (1, 1)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("2", 2.0, 2.0),
        ("1.5", 1.5, 1.5),
        ("-1", 0, 0),
        ("soon", 0, 0.5),
        ("", 0, 0.5),
        (None, 0, 0.5),
    ],
)
def test_a_quota_is_waited_for_as_told(header, least, most):
    headers = JSON if header is None else JSON | {"Retry-After": header}
    clock = FakeClock()
    with (
        ScriptedServer(Answer(429, b"", headers), Answer()) as server,
        client(Tokens(server.url), clock=clock) as (http, budget),
    ):
        assert http.get("/w", {}).status == 200
        assert least <= sum(clock.slept) <= most
        assert budget.pauses == ([least] if least else [])
        assert (http.requests, budget.total, budget.most) == (2, 2, 1)


def test_an_http_date_is_counted_from_the_answers_own_clock():
    def write(handler):
        handler.wfile.write(
            b"HTTP/1.1 429 Too Many\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n"
            b"Retry-After: Sun, 01 Mar 2026 12:00:03 GMT\r\nContent-Length: 0\r\n\r\n"
        )

    clock = FakeClock()
    with (
        ScriptedServer(Answer(write=write), Answer()) as server,
        client(Tokens(server.url), clock=clock) as (http, _),
    ):
        http.get("/w", {})
        assert sum(clock.slept) == 3


def test_a_long_wait_is_handed_over_and_told_to_everybody():
    clock = FakeClock()
    with (
        ScriptedServer(Answer(429, b"", {"Retry-After": "600"})) as server,
        client(Tokens(server.url), clock=clock) as (http, budget),
    ):
        with pytest.raises(RateLimited) as caught:
            http.get("/w", {})
        assert (caught.value.retry_after_s, budget.pauses, clock.slept, http.requests) == (
            600,
            [600],
            [],
            1,
        )


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_transient_answer_is_tried_again(status):
    with (
        ScriptedServer(Answer(status), Answer(status), Answer()) as server,
        client(Tokens(server.url)) as (http, _),
    ):
        assert http.get("/w", {}).status == 200
        assert http.requests == 3


def test_tries_end_after_five_repeats():
    with ScriptedServer(Answer(503, b"<html>")) as server, client(Tokens(server.url)) as (http, _):
        with pytest.raises(TransientError):
            http.get("/w", {})
        assert http.requests == len(server.asked) == 6


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_an_answer_that_would_repeat_itself_is_not_tried_again(status):
    with ScriptedServer(Answer(status)) as server, client(Tokens(server.url)) as (http, _):
        with pytest.raises(Exception, match=str(status)):
            http.get("/w", {})
        assert http.requests == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_the_token_goes_nowhere(status):
    with (
        ScriptedServer() as trap,
        ScriptedServer(Answer(status, b"", {"Location": f"{trap.url}/x"})) as server,
        client(Tokens(server.url)) as (http, _),
    ):
        with pytest.raises(UnexpectedRedirect):
            http.get("/w", {})
        assert trap.asked == []


@pytest.mark.parametrize("broken", [cut, cut_chunk, reset, hang_up])
def test_a_broken_answer_is_read_again_in_full(broken):
    with (
        ScriptedServer(Answer(write=broken), Answer(body=b"[1,2]")) as server,
        client(Tokens(server.url)) as (http, budget),
    ):
        assert http.get("/w", {}).content == b"[1,2]"
        assert (http.requests, budget.total) == (2, 2)


@pytest.mark.parametrize("broken", [cut, hang_up])
def test_broken_answers_spend_the_same_five_tries(broken):
    with ScriptedServer(Answer(write=broken)) as server, client(Tokens(server.url)) as (http, _):
        with pytest.raises(ProviderUnreachable, match=r"127\.0\.0\.1") as caught:
            http.get("/w", {"where": "canary"})
        assert http.requests == 6
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_dripping_body_ends_at_the_deadline():
    with (
        ScriptedServer(Answer(write=drip), Answer()) as server,
        client(Tokens(server.url), clock=QuickClock()) as (http, _),
    ):
        assert http.get("/w", {}).content == b"[]"
        assert http.requests == 2


def test_a_bomb_is_cut_at_the_cap():
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as packed:
        for _ in range(30):
            packed.write(b" " * 1024 * 1024)
    answer = Answer(200, bomb.getvalue(), JSON | {"Content-Encoding": "gzip"})
    with ScriptedServer(answer) as server, client(Tokens(server.url)) as (http, _):
        with pytest.raises(ProviderContractError, match="20 MB") as caught:
            http.get("/w", {})
        assert (caught.value.code, http.requests) == ("RESPONSE_TOO_LARGE", 1)


def test_a_packed_answer_is_unpacked():
    answer = Answer(
        200, gzip.compress(b"[1]" + b" " * 300_000), JSON | {"Content-Encoding": "gzip"}
    )
    with ScriptedServer(answer) as server, client(Tokens(server.url)) as (http, _):
        assert len(http.get("/w", {}).content) == 300_003


def test_no_content_is_empty_and_the_connection_stays_usable():
    with ScriptedServer(Answer(204), Answer()) as server, client(Tokens(server.url)) as (http, _):
        assert http.get("/w", {}).content == b""
        assert http.get("/w", {}).content == b"[]"


def test_a_login_page_is_no_data():
    page = Answer(200, b"<html>", {"Content-Type": "text/html"})
    with (
        ScriptedServer(page) as server,
        client(Tokens(server.url)) as (http, _),
        pytest.raises(ProviderContractError, match="text/html"),
    ):
        http.get("/w", {})


def test_a_refused_connection_names_the_host():
    with ScriptedServer() as server:
        url = server.url
    with (
        client(Tokens(url)) as (http, budget),
        pytest.raises(ProviderUnreachable, match=r"127\.0\.0\.1:\d+ did not answer: it refused"),
    ):
        http.get("/w", {})
    assert budget.total == 6


def test_proxy_settings_of_the_environment_are_ignored(monkeypatch):
    with ScriptedServer() as trap, ScriptedServer() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        with client(Tokens(server.url), HTTP_PROXY=trap.url) as (http, _):
            http.get("/w", {})
        assert trap.asked == []


def test_cookies_are_not_kept():
    with (
        ScriptedServer(Answer(headers=JSON | {"Set-Cookie": "session=1; Path=/"})) as server,
        client(Tokens(server.url)) as (http, _),
    ):
        http.get("/w", {})
        http.get("/w", {})
        assert "cookie" not in server.asked[1].headers


def test_headers_that_the_provider_requires_come_from_the_environment():
    provider = acme(required_headers=(RequiredHeader("X-Tenant", "Tenant", "env", "ACME_TENANT"),))
    with ScriptedServer() as server:
        with client(Tokens(server.url), provider=provider, ACME_TENANT="t-1") as (http, _):
            http.get("/w", {})
        assert server.asked[0].headers["x-tenant"] == "t-1"
    for bad in ("", "a\r\nX-Evil: 1"):
        with (
            pytest.raises(SettingInvalid, match="ACME_TENANT") as caught,
            client(Tokens("x"), provider=provider, ACME_TENANT=bad),
        ):
            pass
        assert caught.value.code == "HDR_MISSING"
