"""Connections with tokens in a real database, and the broker over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from integrations_hub.access import Broker
from integrations_hub.domain.connection import Connection
from integrations_hub.ports.credentials import NewPair, RefreshClaim, Sealed
from integrations_hub.refresh import seal_pair
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.transport.clock import SystemClock
from integrations_hub.vault.keyring import Keyring
from tests.kit.fake_tokens import FakeIdp, FakeSpool

RING = Keyring.from_setting(Keyring.new_key())


def insert(database: Database, key: str) -> int:
    """A new connection of the provider acme; its id."""
    rows = database.rows(
        "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
        " VALUES ('acme', %(key)s, 'l', 'production') RETURNING id",
        {"key": key},
    )
    return int(rows[0]["id"])


def connect(
    database: Database,
    connection_id: int,
    *,
    expires_in_s: int = 3600,
    company_id: str = "co",
    instance_id: str | None = None,
) -> Connection:
    """A consent that brought the pair a0, r0."""
    return PostgresTokenStore(database, instance_id).save_connected(
        connection_id,
        seal_pair(RING, connection_id, access="a0", refresh="r0"),
        expires_in_s=expires_in_s,
        api_base_url="https://api.example/x",
        company_id=company_id,
        actor="ann",
        request_id="req-1",
    )


def claim(
    store: PostgresTokenStore, connection_id: int, name: str = "one", intent: str = "1:r0"
) -> RefreshClaim | None:
    """A claim of the pair that `connect` brought."""
    return store.claim(connection_id, name, 40, version=1, intent=intent)


def pair(text: bytes = b"y", life_s: int = 3600, base: str | None = None) -> NewPair:
    """What a refresh brought."""
    return NewPair(Sealed("k", text), life_s, datetime.now(timezone.utc), base)


def save(store: PostgresTokenStore, won: RefreshClaim, new: NewPair | None = None) -> bool:
    """Whether the winner's pair was taken."""
    return store.save_refreshed(won, new or pair(), expires_in_s=3600)


def broker(database: Database, idp: FakeIdp, vault: Keyring = RING) -> Broker:
    """A broker of a Hub named "here"."""

    @contextmanager
    def own_tokens() -> Iterator[PostgresTokenStore]:
        own = database.fork()
        try:
            yield PostgresTokenStore(own)
        finally:
            own.close()

    return Broker(
        tokens=PostgresTokenStore(database),
        own_tokens=own_tokens,
        vault=vault,
        spool=FakeSpool(),
        instance_id="here",
        auth_client=lambda connection: idp,
        clock=SystemClock(),
    )
