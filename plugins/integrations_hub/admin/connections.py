"""What an admin does with connections, apart from the consent (consent.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import (
    ConfigurationError,
    ConnectionAmbiguous,
    ConnectionInvalid,
    HubError,
    NotFound,
)
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.ports.connections import NO_VALUES, ConnectionStore, ConnectionValues

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How a connection stands.

    `state`: new | connected | degraded | needs_reauth | locked | disconnected | disabled. `since`:
    since when it stands so (connected: the last good answer). `next_action`: connect | reconnect |
    adopt | enable | wait | test, None when there is nothing to do.
    """

    state: str
    reason: str | None
    since: datetime | None
    next_action: str | None


def status_of(connection: Connection) -> Status:
    """The one word and the one next step that people see: the first of these that fits.

    What an admin decided comes before what the provider did.
    """
    for stands in (_disabled, _locked, _not_connected, _needs_person, _degraded):
        status = stands(connection)
        if status is not None:
            return status
    return Status("connected", None, connection.last_ok_at, None)


def _disabled(connection: Connection) -> Status | None:
    if not connection.is_disabled:
        return None
    return Status("disabled", "it was disabled in the Hub", connection.disabled_at, "enable")


def _locked(connection: Connection) -> Status | None:
    return Status("locked", connection.trouble(), None, "adopt") if connection.is_locked else None


def _not_connected(connection: Connection) -> Status | None:
    if connection.is_active:
        return None
    if connection.disconnected_at is not None:
        gone = "it was disconnected in the Hub; its links and history are kept"
        return Status("disconnected", gone, connection.disconnected_at, "reconnect")
    return Status("new", "it was never connected", None, "connect")


def _needs_person(connection: Connection) -> Status | None:
    if not connection.needs_reauth and connection.auth_state != "needs_reauth":
        return None
    # unreachable: nobody has refused us yet, and a reconnect would not help (D15)
    step = "test" if connection.reauth_reason == "unreachable" else "reconnect"
    reason = connection.trouble() or "a person must sign in again"
    return Status("needs_reauth", reason, connection.degraded_since, step)


def _degraded(connection: Connection) -> Status | None:
    trouble = connection.trouble()
    if trouble is None:
        return None
    since = connection.degraded_since or connection.refresh_unknown_since
    return Status("degraded", trouble, since, "wait")


@dataclass(frozen=True)
class Connections:
    """`slots_of`: how many fetches of a connection may run at once (the size of its new pool)."""

    store: ConnectionStore
    registry: Registry
    slots_of: Callable[[Connection], int]

    def create(
        self,
        provider_key: str,
        *,
        key: str,
        label: str,
        environment: str,
        actor: str,
        request_id: str | None,
        airflow: AirflowClient,
        values: ConnectionValues = NO_VALUES,
    ) -> Connection:
        """A connection that is not authorised yet, shown in Airflow when Airflow answers.

        Raises ConfigurationError for an environment the provider does not have, ConnectionInvalid
        for headers that do not fit the provider.
        """
        provider = self.registry.get_provider(provider_key)
        if environment not in provider.base_url_variants:
            known = ", ".join(sorted(provider.base_url_variants))
            raise ConfigurationError(
                f"{provider.display_name} has no environment {environment[:60]!r}.",
                hint=f"Choose one of: {known}.",
                code="ENVIRONMENT_UNKNOWN",
            )
        headers = check_headers(provider, values.headers or {})
        _check_secret_ref(values.secret_ref)
        made = self.store.create(
            provider_key=provider_key,
            key=key,
            label=label,
            environment=environment,
            actor=actor,
            request_id=request_id,
            values=replace(
                values,
                limits=_kept(values.limits or {}) or None,
                headers=headers,
                secret_ref=values.secret_ref or None,
            ),
        )
        try:
            self.show_in_airflow(made, airflow)
        except HubError as error:
            # enabling a rule does it again, and must not fail there
            log.warning("connection_not_shown conn_id=%s code=%s", made.conn_id, error.code)
        return made

    def change(
        self,
        provider_key: str,
        key: str,
        *,
        values: ConnectionValues,
        actor: str,
        request_id: str | None,
    ) -> Connection:
        """Only what is given changes; of limits and headers, only the names given.

        Running tasks keep to new limits with their next request. Raises NotFound, ConnectionInvalid.
        """
        connection = self.get(provider_key, key)
        _check_secret_ref(values.secret_ref)
        if values.limits is not None:
            values = replace(values, limits=_kept({**connection.limits, **values.limits}))
        if values.headers is not None:
            provider = self.registry.get_provider(provider_key)
            headers = check_headers(provider, {**connection.headers, **values.headers})
            values = replace(values, headers=headers)
        return self.store.change(connection, values, actor=actor, request_id=request_id)

    def get(self, provider_key: str, key: str) -> Connection:
        """Raises NotFound for an unknown provider or connection."""
        return self.store.get(self.registry.get_provider(provider_key).key, key)

    def list(self, provider_key: str) -> list[Connection]:
        """By key. Raises NotFound for an unknown provider."""
        return self.store.list(self.registry.get_provider(provider_key).key)

    def pick(self, provider_key: str, key: str | None) -> Connection:
        """The named connection; without a name the only active one (D16).

        Raises NotFound, or ConnectionAmbiguous that lists them.
        """
        if key is not None:
            return self.get(provider_key, key)
        active = [one for one in self.list(provider_key) if one.is_active and not one.is_disabled]
        if not active:
            raise NotFound(
                f"{provider_key} has no active connection.",
                hint="Connect one, or name it with ?connection=<key>.",
                code="CONNECTION_UNKNOWN",
            )
        if len(active) > 1:
            names = ", ".join(one.key for one in active)
            raise ConnectionAmbiguous(f"{provider_key} has several active connections: {names}.")
        return active[0]

    def show_in_airflow(self, connection: Connection, airflow: AirflowClient) -> None:
        """Its pool and its row without secrets; a pool that exists keeps its slots."""
        label = connection.label
        airflow.ensure_pool(
            connection.conn_id,
            self.slots_of(connection),
            f"Fetches of {label} at the same time. The Hub never changes these slots again.",
        )
        airflow.upsert_connection(
            connection.conn_id,
            conn_type=connection.provider_key,
            description=f"{label}: kept by the Integrations Hub, which serves the access token.",
        )


def check_headers(provider: Provider, given: Mapping[str, str]) -> dict[str, str]:
    """Exactly the headers that the provider wants from the connection, each with a usable value.

    Raises ConnectionInvalid with every problem; a value is never part of it.
    """
    wanted = {one.key: one for one in provider.required_headers if one.source == "connection"}
    problems = [
        {"pointer": f"/headers/{key}", "message": f"{provider.display_name} wants no such header."}
        for key in given
        if key not in wanted
    ]
    for key, header in wanted.items():
        value = given.get(key, "").strip()
        if not value or not value.isprintable() or not value.isascii():
            said = f"{header.label}: one line of plain characters is needed."
            problems.append({"pointer": f"/headers/{key}", "message": said})
    if problems:
        named = "; ".join(f"{one['pointer']}: {one['message']}" for one in problems)
        raise ConnectionInvalid(
            f"{provider.display_name} cannot be connected like this: {named}", problems=problems
        )
    return {key: given[key].strip() for key in wanted}


def _kept(limits: Mapping[str, int]) -> dict[str, int]:
    """Without those that are taken away (0)."""
    return {name: limit for name, limit in limits.items() if limit}


def _check_secret_ref(ref: str | None) -> None:
    """A Hub connection keeps no client secret: asking it for one would ask ourselves."""
    if ref is not None and ref.startswith("airflow:hub_"):
        said = "Name a connection of your own; hub_... are the Hub's."
        raise ConnectionInvalid(
            f"The secret cannot be kept in {ref}. {said}",
            problems=[{"pointer": "/secret_ref", "message": said}],
        )
