"""What an admin does with connections, apart from the consent (consent.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import (
    ConfigurationError,
    ConnectionAmbiguous,
    HubError,
    NotFound,
)
from integrations_hub.ports.airflow import AirflowClient
from integrations_hub.ports.records import ConnectionStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How a connection stands. `state`: new | connected | degraded | needs_reauth | locked | disabled.

    `since`: since when it is not well, or the last good answer. `next_action`: connect | reconnect |
    adopt | enable | wait, None when there is nothing to do.
    """

    state: str
    reason: str | None
    since: datetime | None
    next_action: str | None


def status_of(connection: Connection) -> Status:
    """The one word and the one next step that people see."""
    if connection.is_disabled:
        return Status("disabled", "an admin disabled it", None, "enable")
    trouble, since = connection.trouble(), connection.degraded_since
    if connection.is_locked:
        return Status("locked", trouble, None, "adopt")
    if connection.needs_reauth or connection.auth_state == "needs_reauth":
        # nobody has refused us yet: a reconnect would not help
        step = "wait" if connection.reauth_reason == "unreachable" else "reconnect"
        return Status("needs_reauth", trouble or "a person must sign in again", since, step)
    if not connection.is_active:
        return Status("new", "it was never connected", None, "connect")
    if trouble is not None:
        since = since or connection.refresh_unknown_since
        return Status("degraded", trouble, since, "wait")
    return Status("connected", None, connection.last_ok_at, None)


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
    ) -> Connection:
        """A connection that is not authorised yet, shown in Airflow when Airflow answers.

        Raises ConfigurationError for an environment the provider does not have.
        """
        provider = self.registry.get_provider(provider_key)
        if environment not in provider.base_url_variants:
            known = ", ".join(sorted(provider.base_url_variants))
            raise ConfigurationError(
                f"{provider.display_name} has no environment {environment[:60]!r}.",
                hint=f"Choose one of: {known}.",
                code="ENVIRONMENT_UNKNOWN",
            )
        made = self.store.create(
            provider_key=provider_key,
            key=key,
            label=label,
            environment=environment,
            actor=actor,
            request_id=request_id,
        )
        try:
            self.show_in_airflow(made, airflow)
        except HubError as error:
            # enabling a rule does it again, and must not fail there
            log.warning("connection_not_shown conn_id=%s code=%s", made.conn_id, error.code)
        return made

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
