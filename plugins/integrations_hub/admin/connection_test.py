"""The connection test: named checks from the name of the host to one record, each with its remedy.

It uses the broker and the provider's own client, as a run does. What could not be tried is `skipped`,
and a test whose token and record were never tried is `not_tested`, never green.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from integrations_hub.admin.connections import Connections, check_headers
from integrations_hub.admin.rules import Actor
from integrations_hub.catalog.metadata import ObjectMeta, Provider, RateLimits
from integrations_hub.domain.connection import Connection, ServedConnection
from integrations_hub.domain.connection_test import Check, Outcome, Report
from integrations_hub.domain.listing import FilterProbe
from integrations_hub.errors import (
    AuthorizationNeeded,
    HubError,
    PermissionMissing,
    RateLimited,
)
from integrations_hub.ports.lifecycle import LifecycleStore
from integrations_hub.ports.outside import Clock, HttpClient, HttpResponse, Network
from integrations_hub.ports.provider import ObjectClient

PER_MINUTE = 6
_ESSENTIAL = ("token", "list")
_WARN_SKEW_S, _FAIL_SKEW_S = 60, 300
_CERTIFICATE_ENDS = timedelta(days=14)
SCOPE_MISSING = "SCOPE_MISSING"


@dataclass(frozen=True)
class Reach:
    """The outside as a test meets it.

    `http_for(connection, served)` answers with that token; `hosts_of` gives the addresses of identity
    server and API; `own_headers` checks those of the environment; `date_of` reads a Date header.
    """

    network: Network
    clock: Clock
    serve: Callable[[Connection], ServedConnection]
    http_for: Callable[[Connection, ServedConnection], AbstractContextManager[HttpClient]]
    client_for: Callable[[Provider, ObjectMeta, HttpClient], ObjectClient]
    hosts_of: Callable[[Provider, Connection], Sequence[str]]
    own_headers: Callable[[Provider, Mapping[str, str]], object]
    limits_of: Callable[[Connection], RateLimits]
    paused_for: Callable[[Connection], float]
    expected_company: Callable[[Provider], str | None]
    date_of: Callable[[str | None], datetime | None]


@dataclass(frozen=True)
class ConnectionTest:
    """`may_remember`: False in maintenance, when what was found is only told."""

    store: LifecycleStore
    connections: Connections
    reach: Reach
    may_remember: Callable[[], bool]

    def run(self, provider_key: str, key: str | None, actor: Actor) -> Report:
        """Try everything once. Raises NotFound, ConnectionAmbiguous, TooOften (six a minute)."""
        connection = self.connections.pick(provider_key, key)
        provider = self.connections.registry.get_provider(provider_key)
        self.store.note_test(
            connection, per_minute=PER_MINUTE, actor=actor.name, request_id=actor.request_id
        )
        attempt = _Attempt(provider, connection, self.reach)
        attempt.run()
        if self.may_remember():
            for object_key, probe in attempt.found.items():
                # beside what a full run has judged: a run goes by that alone
                self.connections.store.save_probe(connection.id, f"{object_key}:tested", probe)
        return Report(
            connection, _overall(attempt.checks), self.reach.clock.now(), tuple(attempt.checks)
        )


class _Attempt:
    """One test of one connection; later checks look at what earlier ones found."""

    def __init__(self, provider: Provider, connection: Connection, reach: Reach) -> None:
        self._provider, self._connection, self._reach = provider, connection, reach
        self._served: ServedConnection | None = None
        self._answer: HttpResponse | None = None
        self._error: HubError | None = None
        self.checks: list[Check] = []
        self.found: dict[str, FilterProbe] = {}

    def run(self) -> None:
        """Fill `checks`, in the order in which a request meets them."""
        self._check("headers", "Required headers", self._headers)
        self._check("resolve", "Host names resolve", self._resolve)
        self._check("tls", "Servers answer, certificates are good", self._tls)
        self._check("token", "Access token", self._token)
        self._check("company", "Company", self._company)
        self._check("budget", "Request budget", self._budget)
        blocked = self._blocked()
        if blocked is None and self._served is not None:
            with self._reach.http_for(self._connection, self._served) as http:
                self._check("list", "One record is listed", lambda: self._list(http))
                self._check("scope", "Scope", self._scope)
                self._check("clock", "Clock", self._clock)
                for obj in self._provider.objects.values():
                    self._filter(obj, http)
            return
        for key, label in (
            ("list", "One record is listed"), ("scope", "Scope"), ("clock", "Clock")
        ):  # fmt: skip
            self._check(key, label, lambda: Outcome("skipped", f"Not tried: {blocked}."))

    def _check(self, key: str, label: str, look: Callable[[], Outcome]) -> None:
        started = self._reach.clock.monotonic()
        try:
            outcome = look()
        except HubError as error:
            outcome = Outcome("fail", error.message, error.hint)
        ms = round((self._reach.clock.monotonic() - started) * 1000)
        self.checks.append(Check(key, label, outcome, ms))

    def _status(self, key: str) -> str:
        return next(check.outcome.status for check in self.checks if check.key == key)

    def _blocked(self) -> str | None:
        for key in ("headers", "token", "budget"):
            if self._status(key) == "fail":
                return f"the check '{key}' failed"
        return None if self._served is not None else "there is no access token"

    # --- before anything is asked ---

    def _headers(self) -> Outcome:
        wanted = self._provider.required_headers
        if not wanted:
            return Outcome("skipped", f"{self._provider.display_name} requires none.")
        own = check_headers(self._provider, self._connection.headers)
        self._reach.own_headers(self._provider, own)
        return Outcome("pass", f"All set: {', '.join(header.key for header in wanted)}.")

    def _hosts(self) -> Sequence[str]:
        return self._reach.hosts_of(self._provider, self._connection)

    def _resolve(self) -> Outcome:
        found = [
            f"{url.split('/')[2]}: {self._reach.network.resolve(url)[0]}" for url in self._hosts()
        ]
        return Outcome("pass", "; ".join(found))

    def _tls(self) -> Outcome:
        """Every host is tried, so that one that is down doesn't hide the other."""
        ends, errors = [], []
        for url in self._hosts():
            try:
                ends.append(self._reach.network.connect(url))
            except HubError as error:
                errors.append(error)
        if errors:
            return Outcome("fail", " ".join(each.message for each in errors), errors[0].hint)
        dated = [each for each in ends if each is not None]
        if not dated:
            return Outcome(
                "skipped", "The servers answer; plain http on loopback has no certificate."
            )
        if min(dated) - self._reach.clock.now() < _CERTIFICATE_ENDS:
            said = f"A certificate ends on {min(dated):%Y-%m-%d}."
            return Outcome("warn", said, "Ask the provider: nothing works after that day.")
        return Outcome("pass", f"Verified; the first certificate ends on {min(dated):%Y-%m-%d}.")

    # --- what we hold ---

    def _token(self) -> Outcome:
        served = self._reach.serve(self._connection)
        if served.state != "ready":
            return Outcome("fail", f"{served.reason[:1].upper()}{served.reason[1:]}.", served.hint)
        self._served = served
        ends = self._connection.token_expires_at
        if self._connection.auth_state == "degraded":
            return Outcome(
                "warn",
                "The token still works, but the identity server gave no new one lately.",
                "Nothing to do if the identity server recovers; it is tried again by itself.",
            )
        until = f" until {ends:%Y-%m-%d %H:%M} UTC" if ends else ""
        return Outcome("pass", f"Version {served.token_version}, good{until}.")

    def _company(self) -> Outcome:
        bound, expected = (
            self._connection.company_id,
            self._reach.expected_company(self._provider),
        )
        if bound is None:
            return Outcome("skipped", "It is known with the first sign-in.")
        if expected is not None and expected != bound:
            return Outcome(
                "fail",
                f"Company {bound} is connected, but this Hub is set up for company {expected}.",
                f"Connect company {expected}, or correct {self._provider.oauth.env_prefix}_COMPANY_ID.",
            )
        return Outcome("pass", f"Company {bound}, as its sign-in said.")

    def _budget(self) -> Outcome:
        limits, paused = self._reach.limits_of(self._connection), self._reach.paused_for(self._connection)  # fmt: skip
        plan = f"{limits.requests_per_minute} requests a minute, {limits.max_concurrent} at a time"
        if paused > 0:
            said = f"Paused for {paused:.0f} s more, because the provider said so ({plan})."
            return Outcome("warn", said, "Nothing to do: it goes on by itself.")
        return Outcome("pass", f"{plan}.")

    # --- one real request ---

    def _list(self, http: HttpClient) -> Outcome:
        probe = self._provider.http.test_request
        try:
            self._answer = http.get(probe.path, probe.query)
        except HubError as error:
            self._error = error
            return _of_list(error)
        empty = self._answer.status == 204
        return Outcome("pass", f"{probe.path} answers{' (no record is visible)' if empty else ''}.")

    def _scope(self) -> Outcome:
        if isinstance(self._error, AuthorizationNeeded) and self._error.code == SCOPE_MISSING:
            return Outcome("fail", self._error.message, self._error.hint)
        if self._answer is None and not isinstance(self._error, PermissionMissing):
            return Outcome("skipped", "No answer that tells.")
        missing = self._connection.missing_scopes
        if missing:
            said = f"Reading works, but not granted: {' '.join(missing)}."
            return Outcome("warn", said, "Reconnect and grant it, if a run needs it.")
        return Outcome("pass", "The consent covers reading.")

    def _clock(self) -> Outcome:
        theirs = self._reach.date_of(self._answer.headers.get("date") if self._answer else None)
        if theirs is None:
            return Outcome("skipped", "No answer that names the provider's time.")
        skew = (self._reach.clock.now() - theirs).total_seconds()
        said = f"This machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the provider."
        remedy = "Let this machine's clock follow a time server (NTP)."
        if abs(skew) > _FAIL_SKEW_S:
            return Outcome("fail", said, remedy)
        return Outcome("warn", said, remedy) if abs(skew) > _WARN_SKEW_S else Outcome("pass", said)

    def _filter(self, obj: ObjectMeta, http: HttpClient) -> None:
        """D14: whether the provider understands the filter; a full run proves whether it is right."""
        if obj.parent_only is None:
            return
        label = f"Filter for top-level {obj.label}"
        if self._answer is None:
            self._check(f"filter:{obj.key}", label, lambda: Outcome("skipped", "Not tried."))
            return
        known = self._connection.filter_probes.get(obj.key, {})

        def look() -> Outcome:
            probe = self._reach.client_for(self._provider, obj, http).probe_parent_only()
            self.found[obj.key] = probe
            return _of_filter(known, probe)

        self._check(f"filter:{obj.key}", label, look)


def _of_list(error: HubError) -> Outcome:
    """What the one request failed of; a lack of budget or scope says nothing of the list."""
    if isinstance(error, RateLimited):
        return Outcome("skipped", f"Not tried: {error.message}", error.hint)
    if error.code == SCOPE_MISSING:
        return Outcome("skipped", "Not tried: the scope is missing.")
    return Outcome("fail", error.message, error.hint)


def _of_filter(known: Mapping[str, Any], probe: FilterProbe) -> Outcome:
    if not probe.accepted:
        return Outcome("warn", f"Refused: {probe.note}", "Nothing to do: the Hub leaves children out itself.")  # fmt: skip
    if known.get("verified"):
        return Outcome("pass", f"{probe.note} A full run found the same, so it is used.")
    if known.get("accepted"):
        return Outcome(
            "warn", str(known["note"]), "Nothing to do: the Hub leaves children out itself."
        )
    return Outcome("pass", f"{probe.note} It is used once a full run has found the same.")


def _overall(checks: Sequence[Check]) -> str:
    states = {check.key: check.outcome.status for check in checks}
    if "fail" in states.values():
        return "fail"
    if any(states.get(key) not in ("pass", "warn") for key in _ESSENTIAL):
        return "not_tested"
    return "warn" if "warn" in states.values() else "pass"
