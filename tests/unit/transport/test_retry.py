"""The retry rules of decision D19."""

import pytest
from urllib3.response import HTTPResponse

from integrations_hub.errors import RateLimited
from integrations_hub.transport.retry import HubRetry, parse_retry_after
from integrations_hub.transport.session import new_session

DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


def answer(status: int, **headers: str) -> HTTPResponse:
    return HTTPResponse(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_the_session_mounts_the_retry_of_d19():
    with new_session(user_agent="Hub", environ={}) as session:
        for scheme in ("https://", "http://"):
            retry = session.get_adapter(f"{scheme}host.example").max_retries
            assert isinstance(retry, HubRetry)
            assert (retry.total, retry.backoff_factor) == (5, 0.5)
            assert retry.status_forcelist == [429, 502, 503, 504]


def test_the_session_ignores_proxies_but_honours_the_ca_bundle(tmp_path):
    with new_session(user_agent="Hub", environ={"REQUESTS_CA_BUNDLE": str(tmp_path)}) as session:
        assert session.trust_env is False
        assert session.verify == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0),
        ("1.5", 1.5),
        ("-1", 0.0),
        ("0", 0.0),
        ("86400000", 86400.0),
        ("Sun, 01 Mar 2026 12:00:03 GMT", 3.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        ("2, 3", None),
        ("1 minute", None),
    ],
)
def test_retry_after_is_read_leniently(text, seconds):
    assert parse_retry_after(text, DATE) == seconds


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_transient_answers_to_get_are_retried(status):
    assert HubRetry().is_retry("GET", status)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_post_is_never_retried(status):
    assert not HubRetry().is_retry("POST", status, has_retry_after=True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 424])
def test_answers_that_repeat_themselves_are_not_retried(status):
    assert not HubRetry().is_retry("GET", status)


def test_nothing_is_retried_when_the_tries_are_spent():
    assert not HubRetry(0).is_retry("GET", 500)


def test_the_waiting_is_handed_over_with_what_the_provider_said():
    waits: list[tuple[float, float | None]] = []
    retry = HubRetry(between=lambda wait, told: waits.append((wait, told)))
    retry.increment("GET", "/", response=answer(429)).sleep(answer(429, Retry_After="2"))
    assert waits == [(2.0, 2.0)], "a new Retry keeps the hook"


def test_a_wait_above_half_a_minute_is_not_slept():
    with pytest.raises(RateLimited) as caught:
        HubRetry().sleep(answer(429, Retry_After="86400"))
    assert caught.value.retry_after_s == 86400


def test_the_backoff_is_full_jitter_below_a_growing_ceiling():
    retry = HubRetry()
    for ceiling in (0.5, 1.0, 2.0, 4.0, 8.0):
        retry = retry.increment("GET", "/", response=answer(503))
        drawn = [retry.get_backoff_time() for _ in range(300)]
        assert 0 <= min(drawn) < ceiling * 0.2
        assert ceiling * 0.8 < max(drawn) <= ceiling
