"""Which addresses may see a token."""

import pytest

from integrations_hub.errors import HostNotAllowed, SettingInvalid
from integrations_hub.transport.hosts import HostGuard, check_base_url

GUARD = HostGuard(["api.example.com", "*.example.org"])


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/api",
        "https://API.example.com:443/api",
        "https://eu.example.org",
        "https://a.b.example.org/x",
    ],
)
def test_pinned_hosts_pass(url):
    assert GUARD.check(url + "/") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/api",
        "https://api.example.com.evil.test/",
        "https://evil.test/api.example.com",
        "https://example.org/",
        "https://evilexample.org/",
        "https://api.example.com@evil.test/",
        "https://user:pass@api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com./",
        "https://api.example.com/?x=1",
        "https://api.example.com/#x",
        "ftp://api.example.com/",
        "//api.example.com/",
        "https:///api",
        "https://api.example.com\\@evil.test",
        "https://api.example.com/ x",
        "https://\u0430pi.example.com/",
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "https://api.example.com:0/",
        "https://[::1",
        "",
        "https://api.example.com:99999/",
        "https://api.example.com%2eevil.test/",
    ],
)
def test_everything_else_is_refused(url):
    with pytest.raises(HostNotAllowed):
        GUARD.check(url)


def test_an_operators_list_replaces_the_pinned_one():
    guard = HostGuard(["api.example.com"], " proxy.example.net , 127.0.0.1:8080 ")
    assert guard.check("https://proxy.example.net/api") == "https://proxy.example.net/api"
    assert guard.check("http://127.0.0.1:8080/api/") == "http://127.0.0.1:8080/api"
    for url in ("https://api.example.com/", "http://127.0.0.1:9090/", "http://proxy.example.net/"):
        with pytest.raises(HostNotAllowed):
            guard.check(url)


def test_loopback_without_a_port_allows_any_port():
    assert (
        HostGuard([], "127.0.0.1").check("http://127.0.0.1:54321/api")
        == "http://127.0.0.1:54321/api"
    )


def test_a_refusal_shows_the_host_and_not_the_query():
    with pytest.raises(HostNotAllowed) as caught:
        GUARD.check("https://evil.test/?access_token=abc")
    assert "evil.test" in str(caught.value)
    assert "abc" not in str(caught.value)


def test_an_operators_base_url_needs_https_unless_loopback():
    assert (
        check_base_url("http://127.0.0.1:9/idp/", setting="X_AUTH_BASE_URL")
        == "http://127.0.0.1:9/idp"
    )
    assert (
        check_base_url("https://any.example/idp", setting="X_AUTH_BASE_URL")
        == "https://any.example/idp"
    )
    for bad in ("http://any.example/idp", "idp", "https://user:pw@any.example"):
        with pytest.raises(SettingInvalid, match="X_AUTH_BASE_URL") as caught:
            check_base_url(bad, setting="X_AUTH_BASE_URL")
        assert "pw" not in str(caught.value)
