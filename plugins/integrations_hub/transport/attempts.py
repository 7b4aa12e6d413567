"""One GET with its retries; a request is sent only while it holds a place of the shared budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import requests
from urllib3.exceptions import HTTPError, ProtocolError

from integrations_hub.errors import ProviderUnreachable
from integrations_hub.ports.outside import Budget, Clock, HttpResponse
from integrations_hub.transport.body import read_body
from integrations_hub.transport.pulse import Pulse
from integrations_hub.transport.retry import LONGEST_WAIT_S, HubRetry, too_long
from integrations_hub.transport.session import TIMEOUT_S, set_retry
from integrations_hub.transport.unreachable import host_of, reason_of

ATTEMPT_S = 60.0


class Attempts:
    """Sends one GET until an answer is complete, at most six times.

    `count` is called before every request. Answers of any status come back once retries are spent.
    """

    def __init__(
        self,
        *,
        session: requests.Session,
        budget: Budget,
        clock: Clock,
        heartbeat: Callable[[], None],
        count: Callable[[], None],
        also_retried: frozenset[int] = frozenset(),
    ) -> None:
        self._session = session
        self._budget = budget
        self._clock = clock
        self._heartbeat = heartbeat
        self._count = count
        self._also_retried = also_retried
        self._pulse = Pulse(clock, heartbeat)
        self._token: str | None = None
        self._deadline = 0.0

    def send(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> HttpResponse:
        """Raises ProviderUnreachable, RateLimited or ProviderContractError (answer too large)."""
        try:
            self._enter()
            return self._until_complete(url, params, headers)
        except (requests.RequestException, HTTPError) as error:
            # `from None`: library texts quote the URL with its query
            raise ProviderUnreachable(
                f"{host_of(url)} did not answer: {reason_of(error)}.",
                retry_after_s=30,
                hint="Nothing to do if it recovers; it is tried again by itself.",
            ) from None
        finally:
            self._leave()

    def _until_complete(
        self, url: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> HttpResponse:
        retry = HubRetry(between=self._between, also_retried=self._also_retried)
        while True:
            set_retry(self._session, retry)
            with self._session.get(
                url,
                params=dict(params),
                headers=dict(headers),
                timeout=TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            ) as response:
                try:
                    body = read_body(response, self._clock, self._deadline)
                except (HTTPError, OSError) as error:
                    # urllib3 retries up to the headers; a body that breaks spends the same tries
                    spent = cast(
                        "HubRetry", response.raw.retries or retry
                    )  # what we mounted comes back
                    broken = error if isinstance(error, HTTPError) else ProtocolError(str(error))
                    retry = spent.increment("GET", "", error=broken)
                else:
                    names = {name.lower(): value for name, value in response.headers.items()}
                    return HttpResponse(response.status_code, names, body)
            retry.sleep()

    def _between(self, wait_s: float, told_s: float | None) -> None:
        """Give the place back while waiting; everybody on the connection hears of a Retry-After."""
        self._leave()
        if told_s:
            self._budget.pause(told_s)
        if wait_s > LONGEST_WAIT_S:
            raise too_long(wait_s)
        self._pulse.sleep(wait_s)
        self._enter()

    def _enter(self) -> None:
        self._pulse.beat()
        self._token = self._budget.acquire(self._heartbeat)
        self._deadline = self._clock.monotonic() + ATTEMPT_S
        self._count()

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            self._budget.release(token)
