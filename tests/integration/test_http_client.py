"""The HTTP client and the form poster against a real server: waits, redirects, broken bodies, 401."""

import gzip
import io
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from integrations_hub.catalog.metadata import RequiredHeader
from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import (
    AuthorizationNeeded,
    HostNotAllowed,
    OutcomeUnknown,
    ProviderContractError,
    ProviderUnreachable,
    RateLimited,
    SettingInvalid,
    TokenNotReady,
    TransientError,
    UnexpectedRedirect,
)
from integrations_hub.transport.client import ProviderHttp
from integrations_hub.transport.form_post import RequestsFormPoster
from integrations_hub.transport.log_guard import GUARD
from tests.kit.acme import acme
from tests.kit.fake_time import FakeClock
from tests.kit.scripted_server import Answer, ScriptedServer

JSON = {"Content-Type": "application/json"}


class FakeBudget:
    """Fulfils ports.Budget; counts the places that are taken and how many ever were at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken = self.most = self.total = 0
        self.pauses: list[float] = []

    def acquire(self, heartbeat):
        with self.lock:
            self.taken += 1
            self.total += 1
            self.most = max(self.most, self.taken)
        return "token"

    def release(self, token):
        with self.lock:
            self.taken -= 1

    def pause(self, seconds):
        self.pauses.append(seconds)


class QuickClock(FakeClock):
    """Real time, two hundred times as fast: for deadlines that pass while we read."""

    def monotonic(self) -> float:
        return time.monotonic() * 200

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 200)


class Tokens:
    """lookup and reject of a connection: every rejected version is followed by the next one."""

    def __init__(self, url: str, *before_ready: str) -> None:
        self.url, self.version, self.states = url, 1, list(before_ready)
        self.rejected: list[int] = []
        self.lookups = 0

    def lookup(self) -> ServedConnection:
        self.lookups += 1
        state = self.states.pop(0) if self.states else "ready"
        if state != "ready":
            return ServedConnection(state, "acme", "main", reason="of a reason", hint="Do this.")
        return ServedConnection(
            "ready", "acme", "main", f"bearer-{self.version}", self.version, self.url
        )

    def reject(self, version: int) -> None:
        self.rejected.append(version)
        self.version = version + 1


@contextmanager
def client(tokens: Tokens, *, clock=None, provider=None, heartbeat=lambda: None, **environ: str):
    budget = FakeBudget()
    http = ProviderHttp(
        provider=provider or acme(),
        lookup=tokens.lookup,
        reject=tokens.reject,
        budget=budget,
        clock=clock or FakeClock(),
        heartbeat=heartbeat,
        request_id="run-7",
        environ={"ACME_ALLOWED_HOSTS": "127.0.0.1"} | environ,
    )
    with http:
        yield http, budget
    assert budget.taken == 0, "every place in flight was given back"


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


def cut(handler):
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[1,"
    )
    handler.close_connection = True


def cut_chunk(handler):
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n[1,"
    )
    handler.close_connection = True


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[1,"
    )
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True


def drip(handler):
    """A complete body, a byte at a time; no single read waits long."""
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 103\r\n\r\n"
    )
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.02)
    handler.wfile.write(b"[1]")


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


# --- the token ---------------------------------------------------------------------------------

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


# --- form posts --------------------------------------------------------------------------------


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
