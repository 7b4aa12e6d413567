"""requests.Session as the Hub uses it: no proxies or netrc of the environment, no cookies, no redirects."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from integrations_hub.ports.outside import HttpResponse
from integrations_hub.transport.retry import HubRetry

TIMEOUT_S = (5.0, 30.0)  # connect, silence while reading


def new_session(
    *, user_agent: str, environ: Mapping[str, str], retry: Retry | None = None
) -> requests.Session:
    """A session for one thread, with HubRetry mounted unless `retry` says otherwise.

    `trust_env` is off (a proxy variable must not redirect tokens), but the usual CA settings count.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update(
        {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
    )
    adapter = HTTPAdapter(max_retries=retry if retry is not None else HubRetry())
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def set_retry(session: requests.Session, retry: Retry) -> None:
    """Give the session's adapters this retry state (safe because a session belongs to one thread)."""
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.max_retries = retry


def as_response(answer: HttpResponse) -> requests.Response:
    """The answer as callers of requests know it."""
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(answer.headers)
    response._content = answer.content
    response.encoding = "utf-8"
    return response
