"""Switching a connection off and on, taking its access away, deleting it.

What an admin decides here reaches a run that works with its next request (store/budget.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from integrations_hub.admin.connections import Connections
from integrations_hub.admin.rules import Actor
from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import ConfigurationError, HubError, LeaseHeld
from integrations_hub.ports.credentials import Sealed, Vault
from integrations_hub.ports.lifecycle import Holdings, LifecycleStore
from integrations_hub.ports.provider import AuthClient
from integrations_hub.ports.records import AuditStore
from integrations_hub.refresh import open_pair

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Withdrawn:
    """What became of the access.

    `at_provider`: revoked | failed | no_endpoint | not_asked (a copied database) | nothing_to_revoke.

    `warning`: what a person still has to do, None when nothing.
    """

    connection: Connection
    at_provider: str
    warning: str | None


@dataclass(frozen=True)
class Lifecycle:
    """`vault` and `auth_client` are only asked for when there is a token to revoke."""

    store: LifecycleStore
    connections: Connections
    audit: AuditStore
    vault: Callable[[], Vault]
    auth_client: Callable[[Connection], AuthClient]

    def disable(self, provider_key: str, key: str, actor: Actor) -> Connection:
        """No run uses it until it is enabled; tokens, links and rules stay. Repeating is harmless."""
        return self._switch(provider_key, key, actor, disabled=True)

    def enable(self, provider_key: str, key: str, actor: Actor) -> Connection:
        """The opposite of `disable`."""
        return self._switch(provider_key, key, actor, disabled=False)

    def disconnect(self, provider_key: str, key: str, actor: Actor) -> Withdrawn:
        """Forget its tokens, then revoke them at the provider; a reconnect finds all links again.

        In this order: whatever the provider answers, the Hub uses them no more.
        """
        connection = self.connections.get(provider_key, key)
        gone, pair = self.store.disconnect(
            connection, actor=actor.name, request_id=actor.request_id
        )
        self._tell_airflow(actor)
        return self._revoke(connection, gone, pair, actor)

    def deletion(self, provider_key: str, key: str) -> Holdings:
        """What would be lost, before anything is."""
        return self.store.holdings(self.connections.get(provider_key, key))

    def delete(
        self, provider_key: str, key: str, *, confirm: str | None, actor: Actor
    ) -> tuple[Holdings, Withdrawn]:
        """Its Dags end, then links, marks, settings and tokens go; local rows and history stay.

        Raises ConfigurationError without `confirm=<key>`, LeaseHeld while a run works.
        """
        connection = self.connections.get(provider_key, key)
        if confirm != connection.key:
            raise ConfigurationError(
                f"Deleting {connection.label} needs its key as confirmation.",
                hint=f"Look at what is lost (GET .../deletion), then send ?confirm={connection.key}.",
                code="CONFIRMATION_NEEDED",
            )
        before = self.store.holdings(connection)
        before.refuse_working(connection)
        # first: a run of a Dag that vanished would hang in Airflow for ever
        self._pause(before, actor, paused=True)
        for dag_id in before.enabled_dags:
            actor.airflow.fail_active_runs(dag_id)
        objects = list(self.connections.registry.get_provider(provider_key).objects)
        try:
            held, pair = self.store.delete(
                connection, objects, actor=actor.name, request_id=actor.request_id
            )
        except LeaseHeld:
            self._pause(before, actor, paused=False)
            raise
        withdrawn = self._revoke(connection, connection, pair, actor)
        self._forget_in_airflow(connection, actor)
        return held, withdrawn

    def _switch(self, provider_key: str, key: str, actor: Actor, *, disabled: bool) -> Connection:
        connection = self.connections.get(provider_key, key)
        switched = self.store.set_disabled(
            connection, disabled, actor=actor.name, request_id=actor.request_id
        )
        self._tell_airflow(actor)
        return switched

    def _revoke(
        self, was: Connection, connection: Connection, pair: Sealed | None, actor: Actor
    ) -> Withdrawn:
        if pair is None:
            return Withdrawn(connection, "nothing_to_revoke", None)
        if was.is_locked:
            # a copy must not end the grant that the other Hub lives on
            said = "The provider was not told: these tokens belong to another Hub."
            return Withdrawn(connection, "not_asked", said)
        if was.flow == "client_credentials":
            said = "The app's credentials are forgotten here: withdraw them at the provider."
            return Withdrawn(connection, "no_endpoint", said)
        try:
            told = self._told_provider(connection, pair)
        except HubError as error:
            self._record("connection.revocation_failed", connection, actor, error.code)
            return Withdrawn(
                connection,
                "failed",
                f"The provider was not told: {error.message} Remove the app's access at the "
                "provider by hand; the Hub has forgotten its tokens.",
            )
        if not told:
            return Withdrawn(
                connection,
                "no_endpoint",
                "The provider has no way to revoke tokens: remove the app's access there by hand.",
            )
        self._record("connection.revoked_at_provider", connection, actor, None)
        return Withdrawn(connection, "revoked", None)

    def _told_provider(self, connection: Connection, pair: Sealed) -> bool:
        tokens = open_pair(self.vault(), connection.id, pair)
        return self.auth_client(connection).revoke(
            tokens["refresh_token"] or tokens["access_token"]
        )

    def _record(self, action: str, connection: Connection, actor: Actor, code: str | None) -> None:
        self.audit.add(
            actor=actor.name,
            action=action,
            target=connection_target(connection.provider_key, connection.key),
            detail={"code": code} if code else {},
            request_id=actor.request_id,
        )

    def _pause(self, held: Holdings, actor: Actor, *, paused: bool) -> None:
        for dag_id in held.enabled_dags:
            actor.airflow.set_paused(dag_id, paused)

    def _tell_airflow(self, actor: Actor) -> None:
        """Schedules are held or released with the next parse; without it they follow by themselves."""
        try:
            actor.airflow.reparse()
        except HubError as error:
            log.warning("reparse_not_asked code=%s", error.code)

    def _forget_in_airflow(self, connection: Connection, actor: Actor) -> None:
        try:
            actor.airflow.reparse()
            actor.airflow.forget(connection.conn_id)
        except HubError as error:
            log.warning("connection_still_shown conn_id=%s code=%s", connection.conn_id, error.code)
