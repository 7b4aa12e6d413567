"""Form posts to identity servers: one attempt, because a repeated refresh may kill a grant."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from urllib.parse import quote_plus

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.retry import Retry

from integrations_hub.errors import OutcomeUnknown, ProviderUnreachable, UnexpectedRedirect
from integrations_hub.ports.outside import Clock, HttpResponse
from integrations_hub.transport.body import read_body
from integrations_hub.transport.clock import SystemClock
from integrations_hub.transport.session import new_session
from integrations_hub.transport.unreachable import host_of, reason_of, root_of

_TIMEOUT_S = (5.0, 60.0)
_TOTAL_S = 60.0  # with three connects below the broker's claim; a lost answer may cost the grant
_MAX_BODY_BYTES = 1024 * 1024
_UNSENT_TRIES = 3
_log = logging.getLogger(__name__)


class RequestsFormPoster:
    """Fulfils ports.FormPoster.

    Repeats only what provably never left: refused connections and names that do not resolve. A
    timeout or a lost answer is OutcomeUnknown. Answers of every
    status below and above 300 but redirects are handed back; the body is at most 1 MB.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._user_agent = user_agent
        self._clock = clock or SystemClock()
        self._environ = os.environ if environ is None else environ

    def post_form(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> HttpResponse:
        """POST once; form values appear nowhere.

        Raises ProviderUnreachable (never sent), OutcomeUnknown or UnexpectedRedirect.
        """
        never = Retry(0, redirect=0, raise_on_status=False, raise_on_redirect=False)
        with new_session(
            user_agent=self._user_agent, environ=self._environ, retry=never
        ) as session:
            if basic is not None:
                session.auth = (quote_plus(basic[0]), quote_plus(basic[1]))  # RFC 6749 2.3.1
            attempt = 1
            while True:
                try:
                    return self._post(session, url, form)
                except (requests.RequestException, HTTPError) as error:
                    if attempt == _UNSENT_TRIES or not _provably_unsent(error):
                        raise _unreachable(url, error) from None
                self._clock.sleep(0.2 * attempt)
                attempt += 1

    def _post(self, session: requests.Session, url: str, form: Mapping[str, str]) -> HttpResponse:
        started = time.monotonic()
        deadline = self._clock.monotonic() + _TOTAL_S
        response = session.post(
            url, data=dict(form), timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        )
        with response:
            if 300 <= response.status_code < 400:
                raise UnexpectedRedirect(
                    f"{host_of(url)} redirected a token request; it was not followed.",
                    hint="Check the provider's identity address.",
                )
            body = read_body(response, self._clock, deadline, max_bytes=_MAX_BODY_BYTES)
        _log.debug(
            "form_posted host=%s status=%s ms=%d",
            host_of(url), response.status_code, (time.monotonic() - started) * 1000,
        )  # fmt: skip
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpResponse(response.status_code, headers, body)


def _provably_unsent(error: BaseException) -> bool:
    """Connection refused, nobody there or no such name: the form never left this machine."""
    unsent = (NewConnectionError, NameResolutionError, ConnectTimeoutError)
    return isinstance(root_of(error), unsent)


def _unreachable(url: str, error: BaseException) -> ProviderUnreachable:
    kind = ProviderUnreachable if _provably_unsent(error) else OutcomeUnknown
    return kind(
        f"The identity server {host_of(url)} did not answer: {reason_of(error)}.",
        retry_after_s=30,
        hint="Nothing to do if it recovers; it is tried again by itself.",
    )
