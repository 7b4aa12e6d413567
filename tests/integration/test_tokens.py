"""The token store, the OAuth flows and the broker on a real PostgreSQL."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from integrations_hub.access import Broker, seal_pair
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import (
    ConflictingChange,
    DatabaseUnavailable,
    GrantRejected,
    NotFound,
    ProviderUnreachable,
)
from integrations_hub.ports.credentials import Sealed
from integrations_hub.store.database import Database
from integrations_hub.store.oauth_flows import PostgresOAuthFlowStore
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.transport.clock import SystemClock
from integrations_hub.vault.keyring import Keyring
from tests.kit.fake_tokens import FakeIdp

RING = Keyring.from_setting(Keyring.new_key())


def insert(database: Database, key: str) -> int:
    return database.rows(
        "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
        " VALUES ('acme', %(key)s, 'l', 'production') RETURNING id",
        {"key": key},
    )[0]["id"]


def connect(
    database: Database, connection_id: int, *, expires_in_s: int = 3600, company_id: str = "co"
) -> Connection:
    return PostgresTokenStore(database).save_connected(
        connection_id,
        seal_pair(RING, connection_id, access="a0", refresh="r0"),
        expires_in_s=expires_in_s,
        api_base_url="https://api.example/x",
        company_id=company_id,
        actor="ann",
        request_id="req-1",
    )


def column(database: Database, name: str):
    return database.rows(f"SELECT {name} AS value FROM hub.integration_connection")[0]["value"]


def age(database: Database, **columns: str) -> None:
    """Move instants of the connection into the past: `degraded_since="25 h"`."""
    for name, past in columns.items():
        database.execute(
            f"UPDATE hub.integration_connection SET {name} = clock_timestamp() - interval '{past}'"
        )


@pytest.fixture
def connection_id(database: Database) -> int:
    return insert(database, "main")


@pytest.fixture
def store(database: Database) -> PostgresTokenStore:
    return PostgresTokenStore(database)


def test_a_new_connection_has_no_tokens(store, connection_id):
    connection, sealed, rejected = store.read(connection_id)
    assert (connection.key, connection.auth_state, sealed, rejected) == ("main", "new", None, -1)
    assert store.claim(connection_id, "c", 40, version=0) is None
    with pytest.raises(NotFound):
        store.read(connection_id + 1)


def test_a_consent_stores_pair_state_and_audit_in_one_transaction(database, store, connection_id):
    connection = connect(database, connection_id)
    assert (connection.is_active, connection.auth_state, connection.company_id) == (
        True,
        "connected",
        "co",
    )
    assert (connection.token_version, connection.connected_by) == (1, "ann")
    _, sealed, _ = store.read(connection_id)
    assert (
        json.loads(RING.open(sealed, purpose=f"{connection_id}:oauth_tokens"))["refresh_token"]
        == "r0"
    )
    audit = database.rows("SELECT actor, action, target, detail, request_id FROM hub.audit_log")
    assert [(a["actor"], a["action"], a["target"], a["request_id"]) for a in audit] == [
        ("ann", "connection.connected", "connection:acme:main", "req-1")
    ]
    assert "a0" not in json.dumps(audit[0]["detail"])


def test_a_company_has_one_active_connection_per_environment(database, store, connection_id):
    connect(database, connection_id)
    other = insert(database, "other")
    with pytest.raises(ConflictingChange, match="already has an active connection"):
        connect(database, other)
    assert store.read(other)[1] is None, "nothing of the refused consent stays"
    assert len(database.rows("SELECT 1 FROM hub.audit_log")) == 1
    with pytest.raises(NotFound):
        connect(database, other + 1, company_id="x")


def test_one_of_many_claims_wins_and_the_next_one_waits_for_its_end(database, store, connection_id):
    connect(database, connection_id)
    claim = store.claim(connection_id, "one", 40, version=1)
    assert (claim.version, claim.interrupted) == (1, False)
    assert store.claim(connection_id, "two", 40, version=1) is None
    age(database, refresh_claim_until="1 s")
    late = store.claim(connection_id, "two", 40, version=1)
    assert late.interrupted
    assert not store.save_refreshed(claim, Sealed("k", b"x"), expires_in_s=60, api_base_url=None)
    assert store.save_refreshed(late, Sealed("k", b"y"), expires_in_s=60, api_base_url=None)
    connection, sealed, _ = store.read(connection_id)
    assert (connection.token_version, sealed.ciphertext) == (2, b"y")
    assert connection.api_base_url == "https://api.example/x"
    assert store.claim(connection_id, "three", 40, version=1) is None, (
        "a claim is for the version that was seen"
    )


def test_a_lapsed_claim_that_nobody_took_still_saves(database, store, connection_id):
    connect(database, connection_id)
    claim = store.claim(connection_id, "one", 40, version=1)
    age(database, refresh_claim_until="1 s")
    assert store.save_refreshed(
        claim, Sealed("k", b"y"), expires_in_s=60, api_base_url="https://new.example"
    )
    assert store.read(connection_id)[0].api_base_url == "https://new.example"


def test_a_reconnect_overtakes_a_refresh_under_way(database, store, connection_id):
    connect(database, connection_id)
    claim = store.claim(connection_id, "one", 40, version=1)
    connect(database, connection_id)
    assert not store.save_refreshed(claim, Sealed("k", b"old"), expires_in_s=60, api_base_url=None)
    store.fail(claim, reason="grant_rejected", needs_reauth=True)
    assert store.read(connection_id)[0].auth_state == "connected"


def test_trouble_degrades_backs_off_and_asks_a_person_after_a_day(database, store, connection_id):
    connect(database, connection_id)
    store.fail(
        store.claim(connection_id, "one", 40, version=1), reason="unreachable", needs_reauth=False
    )
    connection = store.read(connection_id)[0]
    assert (connection.auth_state, connection.needs_reauth, connection.reauth_reason) == (
        "degraded",
        False,
        None,
    )
    assert store.claim(connection_id, "two", 40, version=1) is None, (
        "nobody asks again within the back-off"
    )

    age(database, degraded_since="25 h", refresh_claim_until="1 s")
    claim = store.claim(connection_id, "two", 40, version=1)
    assert not claim.interrupted, "a failure that was told is no unknown outcome"
    store.fail(claim, reason="unreachable", needs_reauth=False)
    connection = store.read(connection_id)[0]
    assert (connection.auth_state, connection.needs_reauth, connection.reauth_reason) == (
        "needs_reauth",
        True,
        "unreachable",
    )
    assert connection.not_ready_because() is None, "runs go on"
    left = column(database, "extract(epoch FROM refresh_claim_until - clock_timestamp())::int")
    assert 800 < left <= 900

    age(database, refresh_claim_until="1 s")
    store.save_refreshed(
        store.claim(connection_id, "3", 40, version=1),
        Sealed("k", b"y"),
        expires_in_s=60,
        api_base_url=None,
    )
    connection = store.read(connection_id)[0]
    assert (connection.auth_state, connection.needs_reauth, connection.degraded_since) == (
        "connected",
        False,
        None,
    )


def test_a_rejected_grant_holds_until_a_reconnect(database, store, connection_id):
    connect(database, connection_id)
    store.fail(
        store.claim(connection_id, "one", 40, version=1), reason="grant_rejected", needs_reauth=True
    )
    assert store.read(connection_id)[0].not_ready_because() == "the provider rejected its grant"
    assert connect(database, connection_id).not_ready_because() is None


def test_a_rejection_counts_for_its_version_and_older_ones_only(database, store, connection_id):
    connect(database, connection_id)
    store.reject(connection_id, 99)
    assert store.read(connection_id)[2] == -1
    store.reject(connection_id, 1)
    store.reject(connection_id, 0)
    assert store.read(connection_id)[2] == 1


# --- the broker over it ------------------------------------------------------------------------


def broker(database: Database, idp: FakeIdp) -> Broker:
    @contextmanager
    def own_tokens() -> Iterator[PostgresTokenStore]:
        own = database.fork()
        yield PostgresTokenStore(own)
        own.close()

    return Broker(
        tokens=PostgresTokenStore(database),
        own_tokens=own_tokens,
        vault=RING,
        auth_client=lambda connection: idp,
        clock=SystemClock(),
    )


def test_eight_callers_with_own_sessions_spend_one_refresh_token(database, connection_id):
    connect(database, connection_id, expires_in_s=1)
    idp = FakeIdp()
    served = []

    def call() -> None:
        own = database.fork()
        served.append(broker(own, idp).serve(connection_id, wait_s=20))
        own.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert idp.posts == ["r0"]
    assert {(one.state, one.access_token, one.token_version) for one in served} == {
        ("ready", "a1", 2)
    }


def test_a_new_pair_is_saved_although_the_sessions_died_during_the_call(
    database, database_url, connection_id
):
    connect(database, connection_id, expires_in_s=1)

    class DyingIdp(FakeIdp):
        def refresh(self, refresh_token):
            grant = super().refresh(refresh_token)
            with psycopg.connect(database_url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return grant

    idp = DyingIdp()
    fresh = database.fork()
    with suppress(DatabaseUnavailable):  # the caller's own session was shot too
        broker(database, idp).serve(connection_id, wait_s=20)
    assert broker(fresh, idp).serve(connection_id).access_token == "a1"
    assert idp.posts == ["r0"]
    fresh.close()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (GrantRejected("invalid_grant"), "refused"),
        (ProviderUnreachable("timeout"), "refreshing"),
    ],
)
def test_the_broker_tells_a_dead_grant_from_trouble(database, connection_id, error, state):
    connect(database, connection_id, expires_in_s=1)
    idp = FakeIdp()
    idp.errors = [error]
    assert broker(database, idp).serve(connection_id, wait_s=5).state == state


# --- flows -------------------------------------------------------------------------------------

FLOW = {"nonce_hash": "n", "actor": "ann", "cookie_hash": "c"}


def start(database: Database, connection_id: int, ttl_s: int = 600) -> PostgresOAuthFlowStore:
    flows = PostgresOAuthFlowStore(database)
    flows.start(
        **FLOW,
        connection_id=connection_id,
        verifier=Sealed("k", b"v"),
        redirect_uri="https://hub.example/cb",
        ttl_s=ttl_s,
    )
    return flows


def test_a_flow_is_consumed_once(database, connection_id):
    flows = start(database, connection_id)
    assert flows.consume(**FLOW) == (connection_id, Sealed("k", b"v"), "https://hub.example/cb")
    assert flows.consume(**FLOW) is None


@pytest.mark.parametrize("other", [{"nonce_hash": "x"}, {"actor": "bob"}, {"cookie_hash": "x"}])
def test_a_flow_of_another_browser_actor_or_state_is_refused_and_stays(
    database, connection_id, other
):
    flows = start(database, connection_id)
    assert flows.consume(**(FLOW | other)) is None
    assert flows.consume(**FLOW) is not None


def test_an_expired_flow_is_refused(database, connection_id):
    assert start(database, connection_id, ttl_s=-1).consume(**FLOW) is None


def test_parallel_callbacks_have_one_winner(database, connection_id):
    start(database, connection_id)
    won = []

    def call() -> None:
        own = database.fork()
        won.append(PostgresOAuthFlowStore(own).consume(**FLOW))
        own.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in won if one]) == 1
