"""Where the provider sends the browser back to: the operator's address, never what a header wishes."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tests.kit.bridge import ADMIN, API, BridgeKit

START = f"{API}/connect/start?connection=acme"
PUBLIC = "https://hub.example.test"
EVIL = "evil.example"
# how open redirects are asked for; none of these is a parameter of ours
TARGETS = [
    f"https://{EVIL}", f"http://{EVIL}", f"//{EVIL}", f"///{EVIL}", f"////{EVIL}", f"/\\{EVIL}", f"\\\\{EVIL}",
    f"https:{EVIL}", f"https:/{EVIL}", f"%2f%2f{EVIL}", f"https%3A%2F%2F{EVIL}", f"https://hub.example.test@{EVIL}",
    f"https://hub.example.test.{EVIL}", f"https://{EVIL}#hub.example.test", f"https://{EVIL}?hub.example.test",
    f"javascript:location='//{EVIL}'", f"data:text/html,<a href=//{EVIL}>", f"\t//{EVIL}", f"/%0d%0aLocation:%20//{EVIL}",
    f"https://{EVIL}%00.hub.example.test", f"https://{EVIL}\\@hub.example.test",
]  # fmt: skip
NAMES = ("next", "redirect_uri", "return_to", "url", "redirect")
FORGED = [
    {"Host": EVIL},
    {"X-Forwarded-Host": EVIL},
    {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https"},
    {"X-Forwarded-Server": EVIL},
    {"X-Forwarded-Prefix": f"//{EVIL}"},
    {"X-Original-Host": EVIL},
    {"X-Host": EVIL},
    {"Forwarded": f"host={EVIL};proto=https"},
    {"X-Original-URL": f"https://{EVIL}/"},
]


@pytest.fixture
def public(database_url: str):
    kit = BridgeKit(database_url, HUB_PUBLIC_URL=PUBLIC)
    kit.create()
    yield kit
    kit.close()


def redirect_of(answer) -> str:
    return parse_qs(urlsplit(answer.json()["authorize_url"]).query)["redirect_uri"][0]


def test_no_parameter_chooses_where_the_browser_goes(public: BridgeKit) -> None:
    for target in TARGETS:
        query = dict.fromkeys(NAMES, target)
        started = public.call("POST", START, params={"connection": "acme", **query})
        assert redirect_of(started) == f"{PUBLIC}/hub/api/integrations/bqe/connect/callback"
        state = started.json()["authorize_url"].partition("state=")[2].partition("&")[0]
        cookie = started.headers["set-cookie"].partition(";")[0]
        back = public.callback(state, cookie, **query)
        assert (back.status_code, "location" in back.headers) == (200, False), target
        assert EVIL not in back.text, target
        assert EVIL not in str(started.headers)


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_no_header_chooses_it_either(public: BridgeKit, forged: dict[str, str]) -> None:
    started = public.call("POST", START, headers={**ADMIN, **forged})
    assert redirect_of(started) == f"{PUBLIC}/hub/api/integrations/bqe/connect/callback"
    assert EVIL not in started.text


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_without_a_public_address_only_loopback_is_believed(
    bridge: BridgeKit, forged: dict[str, str]
) -> None:
    bridge.create()
    started = bridge.call("POST", START, headers={**ADMIN, **forged})
    if "Host" in forged:
        assert (started.status_code, started.json()["code"]) == (409, "PUBLIC_URL_MISSING")
    else:
        assert redirect_of(started).startswith("http://127.0.0.1:8080/hub/")


@pytest.mark.parametrize(
    "host", [f"{EVIL}\\@127.0.0.1", f"127.0.0.1@{EVIL}", f"127.0.0.1.{EVIL}", f"{EVIL}#127.0.0.1", "127.0.0.1:8080/x", ""]
)  # fmt: skip
def test_an_odd_host_is_not_loopback(bridge: BridgeKit, host: str) -> None:
    bridge.create()
    started = bridge.call("POST", START, headers={**ADMIN, "Host": host})
    assert (started.status_code, started.json()["code"]) == (409, "PUBLIC_URL_MISSING")


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("hub.example.test", "https", "https://hub.example.test"),
        ("hub.example.test:8443", "https", "https://hub.example.test:8443"),
        ("hub.example.test", "http", None),
        ("hub.example.test.evil.example", "https", None),
        ("127.0.0.1:8080", "http", None),
    ],
)
def test_hosts_on_the_operators_list_are_taken_from_the_request_over_https_only(
    database_url: str, host: str, scheme: str, expected: str | None
) -> None:
    kit = BridgeKit(database_url, HUB_ALLOWED_HOSTS="hub.example.test, other.example.test")
    inner = kit.app

    async def server(scope, receive, send) -> None:
        await inner({**scope, "scheme": scheme}, receive, send)

    try:
        kit.create()
        kit.serve = server
        started = kit.call("POST", START, headers={**ADMIN, "Host": host})
        if expected is None:
            assert (started.status_code, started.json()["code"]) == (409, "PUBLIC_URL_MISSING")
        else:
            assert redirect_of(started).startswith(f"{expected}/hub/")
    finally:
        kit.close()


@pytest.mark.parametrize(("trusted", "status"), [("127.0.0.1", 200), ("10.0.0.1", 409)])
def test_the_scheme_is_heard_from_a_trusted_proxy_only(
    database_url: str, trusted: str, status: int
) -> None:
    """The api-server's --proxy-headers is this middleware; FORWARDED_ALLOW_IPS its list."""
    kit = BridgeKit(database_url, HUB_ALLOWED_HOSTS="hub.example.test")
    kit.serve = ProxyHeadersMiddleware(kit.app, trusted_hosts=trusted)
    try:
        kit.create()
        told = {**ADMIN, "Host": "hub.example.test", "X-Forwarded-Proto": "https"}
        assert kit.call("POST", START, headers=told).status_code == status
    finally:
        kit.close()


@pytest.mark.parametrize(
    "setting", ["http://hub.example.test", "hub.example.test", "https://u:p@hub.example.test"]
)
def test_a_public_address_that_is_not_https_is_refused_in_words(
    database_url: str, setting: str
) -> None:
    kit = BridgeKit(database_url, HUB_PUBLIC_URL=setting)
    try:
        kit.create()
        started = kit.call("POST", START)
        assert (started.status_code, "HUB_PUBLIC_URL" in started.json()["message"]) == (409, True)
    finally:
        kit.close()
