"""The one way to a provider's API: authorised GETs within the budget, with one token renewal on 401."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

import requests

from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import (
    AuthorizationNeeded,
    Disconnected,
    SettingInvalid,
    TokenNotReady,
)
from integrations_hub.ports.outside import Budget, Clock, HttpResponse
from integrations_hub.transport.attempts import Attempts
from integrations_hub.transport.hosts import host_guard
from integrations_hub.transport.log_guard import GUARD
from integrations_hub.transport.pulse import Pulse
from integrations_hub.transport.session import new_session
from integrations_hub.transport.verdict import Verdict

_ASK_EVERY_S = 1.0
_ASK_FOR_S = 60.0
_ABSENT = (404, 410)
_log = logging.getLogger(__name__)


class ProviderHttp:
    """Fulfils ports.HttpClient; threads may share it (each gets its own requests.Session).

    `lookup`, `reject` and `heartbeat` are never called by two threads at once, but on whichever
    thread waits. The bearer goes to allowed hosts only. Close it when done: the budget's database
    session and the HTTP connections are its own.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        lookup: Callable[[], ServedConnection],
        reject: Callable[[int], None],
        budget: Budget,
        clock: Clock,
        heartbeat: Callable[[], None],
        request_id: str,
        environ: Mapping[str, str],
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._provider = provider
        self._lookup = lookup
        self._reject = reject
        self._budget = budget
        self._clock = clock
        self._beat = heartbeat
        self._request_id = request_id
        self._environ = environ
        self._hosts = host_guard(provider, environ)
        self._required = required_headers(provider, environ, own_headers or {})
        self._verdict = Verdict(provider)
        self._served: ServedConnection | None = None
        self._sessions: list[requests.Session] = []
        self._of_thread = threading.local()
        self._token_lock = threading.Lock()
        self._beat_lock = threading.Lock()
        self._count_lock = threading.Lock()
        self.requests = 0

    def get(self, path: str, params: Mapping[str, str], *, absent_ok: bool = False) -> HttpResponse:
        """A 2xx answer (JSON, or b"" for 204); everything else is raised as a leaf of errors.py.

        `absent_ok`: 404 and 410 come back as well, for a look-up by id.
        """
        served = self._serving()
        response = self._send(served, path, params)
        if self._verdict.is_stale_token(response):
            served = self._renewed(served.token_version)
            response = self._send(served, path, params)
        if absent_ok and response.status in _ABSENT:
            return response
        return self._verdict.accept(response, path)

    def close(self) -> None:
        """Close HTTP connections and the budget's database session."""
        with self._count_lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        close = getattr(self._budget, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> ProviderHttp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- sending ---------------------------------------------------------------------------------

    def _send(self, served: ServedConnection, path: str, params: Mapping[str, str]) -> HttpResponse:
        started = self._clock.monotonic()
        attempts = Attempts(
            session=self._session(),
            budget=self._budget,
            clock=self._clock,
            heartbeat=self._heartbeat,
            count=self._count,
            also_retried=frozenset(self._provider.http.retry_statuses),
        )
        response = attempts.send(served.api_base_url + path, params, self._headers(served))
        _log.debug(
            "request_answered method=GET path=%s status=%s ms=%d request_id=%s",
            path,
            response.status,
            (self._clock.monotonic() - started) * 1000,
            self._request_id,
        )
        return response

    def _headers(self, served: ServedConnection) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {served.access_token}",
            "Accept": self._provider.http.accept,
            "X-Request-ID": self._request_id,
        }
        return headers | self._required

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = new_session(user_agent=self._provider.http.user_agent, environ=self._environ)
            self._of_thread.session = session
            with self._count_lock:
                self._sessions.append(session)
        return session

    def _count(self) -> None:
        with self._count_lock:
            self.requests += 1

    def _heartbeat(self) -> None:
        with self._beat_lock:
            self._beat()

    # --- the token -------------------------------------------------------------------------------

    def _serving(self) -> ServedConnection:
        with self._token_lock:
            if self._served is None:
                self._served = self._ask()
            return self._served

    def _renewed(self, version: int) -> ServedConnection:
        """A token after a 401 with `version`: reported once, whichever threads saw it."""
        with self._token_lock:
            if self._served is None or self._served.token_version == version:
                self._reject(version)
                self._served = self._ask()
            return self._served

    def _ask(self) -> ServedConnection:
        """Ask until the connection is ready, each second, up to 60 s."""
        pulse = Pulse(self._clock, self._heartbeat)
        end = self._clock.monotonic() + _ASK_FOR_S
        while True:
            served = self._lookup()
            if served.state == "ready":
                base = self._hosts.check(served.api_base_url)
                GUARD.hide(served.access_token)
                return _at(served, base)
            if served.state == "refused":
                withdrawn = served.code == Disconnected.default_code
                raise (Disconnected if withdrawn else AuthorizationNeeded)(
                    f"The connection {served.connection_key} cannot be used: {served.reason}.",
                    hint=served.hint,
                )
            if self._clock.monotonic() >= end:
                raise TokenNotReady(
                    f"The connection {served.connection_key} has no usable token yet: {served.reason}.",
                    retry_after_s=30,
                )
            pulse.sleep(_ASK_EVERY_S)


def required_headers(
    provider: Provider, environ: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The headers that the provider's metadata asks for; `own` are the connection's values.

    Raises SettingInvalid (HDR_MISSING).
    """
    headers = {}
    for header in provider.required_headers:
        source = header.env_key if header.source == "env" else None
        value = (environ.get(source, "") if source else own.get(header.key, "")).strip()
        if not value or not value.isprintable():
            raise SettingInvalid(
                f"{provider.display_name} needs the header {header.key} ({header.label}), and "
                f"{source or 'the connection'} holds no usable value for it.",
                hint=f"Set {source or header.label}.",
                code="HDR_MISSING",
            )
        headers[header.key] = value
    return headers


def _at(served: ServedConnection, base: str) -> ServedConnection:
    return ServedConnection(
        state=served.state,
        provider_key=served.provider_key,
        connection_key=served.connection_key,
        access_token=served.access_token,
        token_version=served.token_version,
        api_base_url=base,
    )
