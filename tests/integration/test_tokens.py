"""The token store, the OAuth flows and the broker on a real PostgreSQL."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone

import psycopg
import pytest

from integrations_hub.access import Broker, seal_pair
from integrations_hub.admin.connections import status_of
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import (
    ConflictingChange,
    DatabaseUnavailable,
    GrantRejected,
    NotFound,
    ProviderUnreachable,
)
from integrations_hub.ports.credentials import Failure, NewPair, Sealed, StartedFlow
from integrations_hub.store.database import Database
from integrations_hub.store.housekeeping import HousekeepingStore
from integrations_hub.store.oauth_flows import PostgresOAuthFlowStore
from integrations_hub.store.tokens import PostgresInstanceLock, PostgresTokenStore
from integrations_hub.transport.clock import SystemClock
from integrations_hub.vault.keyring import Keyring
from tests.kit.fake_tokens import FakeIdp, FakeSpool

RING = Keyring.from_setting(Keyring.new_key())


def insert(database: Database, key: str) -> int:
    return database.rows(
        "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
        " VALUES ('acme', %(key)s, 'l', 'production') RETURNING id",
        {"key": key},
    )[0]["id"]


def connect(
    database: Database,
    connection_id: int,
    *,
    expires_in_s: int = 3600,
    company_id: str = "co",
    instance_id: str | None = None,
) -> Connection:
    return PostgresTokenStore(database, instance_id).save_connected(
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
    assert store.claim(connection_id, "c", 40, version=0, intent=None) is None
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
    with pytest.raises(ConflictingChange, match="already has the active connection 'main'"):
        connect(database, other)
    assert store.read(other)[1] is None, "nothing of the refused consent stays"
    assert len(database.rows("SELECT 1 FROM hub.audit_log")) == 1
    with pytest.raises(NotFound):
        connect(database, other + 1, company_id="x")


def claim(store: PostgresTokenStore, connection_id: int, name: str = "one", intent="1:r0"):
    return store.claim(connection_id, name, 40, version=1, intent=intent)


def pair(text: bytes = b"y", life_s: int = 3600, base: str | None = None) -> NewPair:
    return NewPair(Sealed("k", text), life_s, datetime.now(timezone.utc), base)


def save(store: PostgresTokenStore, won, new: NewPair | None = None) -> bool:
    return store.save_refreshed(won, new or pair(), expires_in_s=3600)


DOWN = Failure("PROVIDER_UNREACHABLE", "Nobody answered.")
LOST = Failure("OUTCOME_UNKNOWN", "The answer was lost.", unknown=True)
REFUSED = Failure("GRANT_REJECTED", "invalid_grant; reconnect.", for_good=True)


def test_one_of_many_claims_wins_and_the_next_one_waits_for_its_end(database, store, connection_id):
    connect(database, connection_id)
    first = claim(store, connection_id)
    assert (first.version, first.unknown_since) == (1, None)
    assert claim(store, connection_id, "two") is None
    age(database, refresh_claim_until="1 s")
    second = claim(store, connection_id, "two")
    assert second.unknown_since is not None, "nobody knows what became of the first one"
    assert save(store, second)
    stored, sealed, _ = store.read(connection_id)
    assert (stored.token_version, sealed.ciphertext, stored.refresh_unknown_since) == (
        2,
        b"y",
        None,
    )
    assert stored.api_base_url == "https://api.example/x"
    assert claim(store, connection_id, "three") is None, "a claim is for the version that was seen"


def test_a_good_pair_wins_over_whoever_took_its_lapsed_claim(database, store, connection_id):
    """The first owner got the answer: its pair is the only living one."""
    connect(database, connection_id)
    slow = claim(store, connection_id)
    age(database, refresh_claim_until="1 s")
    thief = claim(store, connection_id, "two")
    store.fail(thief, REFUSED)
    assert store.read(connection_id)[0].needs_reauth
    assert save(store, slow, pair(base="https://new.example"))
    healed = store.read(connection_id)[0]
    assert (healed.auth_state, healed.needs_reauth, healed.api_base_url) == (
        "connected",
        False,
        "https://new.example",
    )
    assert not save(store, thief)


def test_a_pair_that_came_for_another_token_is_refused(database, store, connection_id):
    connect(database, connection_id)
    won = claim(store, connection_id)
    assert not save(store, replace(won, intent="1:other"))
    assert save(store, won)


def test_a_reconnect_overtakes_a_refresh_under_way(database, store, connection_id):
    connect(database, connection_id)
    won = claim(store, connection_id)
    connect(database, connection_id)
    assert not save(store, won)
    store.fail(won, REFUSED)
    assert store.read(connection_id)[0].auth_state == "connected"


def test_a_disconnect_is_not_undone_by_a_refresh_under_way(database, store, connection_id):
    connect(database, connection_id)
    won = claim(store, connection_id)
    database.execute("DELETE FROM hub.encrypted_secret")
    database.execute("UPDATE hub.integration_connection SET is_active = false, auth_state = 'new'")
    assert not save(store, won)
    stored, sealed, _ = store.read(connection_id)
    assert (stored.token_version, stored.auth_state, sealed) == (1, "new", None)
    assert database.rows("SELECT 1 FROM hub.encrypted_secret") == []


@pytest.mark.parametrize(
    ("age_of_trouble", "state", "needs_reauth", "reason"),
    [
        ("23 h 59 min", "degraded", False, None),
        ("24 h 1 min", "needs_reauth", True, "unreachable"),
    ],
)
def test_a_person_is_asked_after_a_day_without_one_good_answer(
    database, store, connection_id, age_of_trouble, state, needs_reauth, reason
):
    connect(database, connection_id)
    store.fail(claim(store, connection_id), DOWN)
    assert store.read(connection_id)[0].auth_state == "degraded"
    age(database, degraded_since=age_of_trouble, refresh_claim_until="1 s")
    store.fail(claim(store, connection_id), DOWN)
    found = store.read(connection_id)[0]
    assert (found.auth_state, found.needs_reauth, found.reauth_reason) == (
        state,
        needs_reauth,
        reason,
    )
    assert found.not_ready_because() is None, "runs go on, and so do refreshes"
    assert ("Admin attention needed" in status_of(found).reason) == needs_reauth
    assert status_of(found).next_action == ("test" if needs_reauth else "wait")

    age(database, refresh_claim_until="1 s")
    assert save(store, claim(store, connection_id))
    healed = store.read(connection_id)[0]
    assert (healed.auth_state, healed.needs_reauth, healed.reauth_reason) == (
        "connected",
        False,
        None,
    )
    assert (healed.degraded_since, healed.auth_code, status_of(healed).reason) == (None, None, None)


@pytest.mark.parametrize(
    ("lasts", "asked_s", "waits"),
    [
        (None, 0, (28, 30)),
        ("10 min", 0, (295, 301)),
        ("20 h", 0, (895, 900)),
        (None, 120, (118, 120)),
    ],
)
def test_the_identity_server_is_left_alone_after_a_failure(
    database, store, connection_id, lasts, asked_s, waits
):
    connect(database, connection_id)
    won = claim(store, connection_id)
    if lasts:
        age(database, degraded_since=lasts)
    store.fail(won, replace(DOWN, wait_s=asked_s))
    assert claim(store, connection_id, "two") is None
    left = column(database, "extract(epoch FROM refresh_claim_until - clock_timestamp())::int")
    assert waits[0] <= left <= waits[1]


def test_a_failure_that_was_told_is_no_unknown_outcome(database, store, connection_id):
    connect(database, connection_id)
    store.fail(claim(store, connection_id), DOWN)
    age(database, refresh_claim_until="1 s")
    assert claim(store, connection_id).unknown_since is None


def test_an_unknown_outcome_is_shown_until_the_token_is_known_again(database, store, connection_id):
    connect(database, connection_id)
    store.fail(claim(store, connection_id), LOST)
    found = store.read(connection_id)[0]
    assert status_of(found).state == "degraded"
    assert "Refresh outcome unknown since 20" in status_of(found).reason
    since = found.refresh_unknown_since

    age(database, refresh_claim_until="1 s")
    later = claim(store, connection_id)
    assert later.unknown_since == since
    store.fail(later, DOWN)  # the server did not even take this one: still unknown
    assert store.read(connection_id)[0].refresh_unknown_since == since

    age(database, refresh_claim_until="1 s")
    later = claim(store, connection_id)
    assert later.unknown_since == since
    store.give_back(later)
    later = claim(store, connection_id)
    assert later.unknown_since == since
    assert save(store, later)
    assert store.read(connection_id)[0].refresh_unknown_since is None


def test_another_token_has_no_part_in_an_unknown_outcome(database, store, connection_id):
    connect(database, connection_id)
    store.fail(claim(store, connection_id), LOST)
    age(database, refresh_claim_until="1 s")
    assert claim(store, connection_id, intent="1:another").unknown_since is None


def test_a_claim_given_back_leaves_nothing(database, store, connection_id):
    connect(database, connection_id)
    store.give_back(claim(store, connection_id))
    assert claim(store, connection_id, "two").unknown_since is None


def test_a_crashed_refresh_is_shown_by_housekeeping_once_its_claim_has_lapsed(
    database, store, connection_id
):
    connect(database, connection_id)
    claim(store, connection_id)
    housekeeping = HousekeepingStore(database)
    assert housekeeping.note_interrupted() == 0, "it may still be at work"
    age(database, refresh_claim_until="1 s")
    assert housekeeping.note_interrupted() == 1
    assert "outcome unknown" in status_of(store.read(connection_id)[0]).reason


def test_a_rejected_grant_holds_until_a_reconnect_and_is_audited(database, store, connection_id):
    connect(database, connection_id)
    store.fail(claim(store, connection_id), REFUSED)
    found = store.read(connection_id)[0]
    assert (found.needs_reauth, found.reauth_reason) == (True, "grant_rejected")
    assert found.not_ready_because() == "the provider rejected its grant"
    assert claim(store, connection_id, "late") is None, "it read the row before it was refused"
    assert status_of(found).reason == "invalid_grant; reconnect."
    entry = database.rows("SELECT actor, detail FROM hub.audit_log ORDER BY seq DESC LIMIT 1")[0]
    assert entry == {"actor": "hub", "detail": {"code": "GRANT_REJECTED", "disabled": False}}
    assert connect(database, connection_id).not_ready_because() is None


@pytest.mark.parametrize(
    ("option", "enabled", "disabled"),
    [
        ("disable", True, True),
        ("disable", False, False),
        ("hold", True, False),
        (None, True, False),
    ],
)
def test_a_rule_may_ask_that_a_rejected_grant_disables_its_connection(
    database, store, connection_id, option, enabled, disabled
):
    connect(database, connection_id)
    body = {"onRejectedGrant": option} if option else {}
    database.execute(
        "INSERT INTO hub.integration_rule (connection_id, object_key, enabled, body, updated_by)"
        " VALUES (%(id)s, 'projects', %(enabled)s, %(body)s, 't')",
        {"id": connection_id, "enabled": enabled, "body": json.dumps(body)},
    )
    won = claim(store, connection_id)
    store.fail(won, DOWN)
    assert not store.read(connection_id)[0].is_disabled, "trouble that passes disables nothing"
    age(database, refresh_claim_until="1 s")
    store.fail(claim(store, connection_id), REFUSED)
    assert store.read(connection_id)[0].is_disabled == disabled


def test_the_public_view_says_how_a_connection_stands(database, store, connection_id):
    connect(database, connection_id)

    def view() -> dict:
        return database.rows("SELECT * FROM hub.hub_v_connection")[0]

    assert (view()["state"], view()["key_id"], view()["refresh_in_flight_since"]) == (
        "connected",
        RING.key_id,
        None,
    )
    claim(store, connection_id)
    assert view()["refresh_in_flight_since"] is not None
    assert view()["refresh_unknown_since"] is None
    age(database, refresh_claim_until="1 s")
    assert view()["refresh_in_flight_since"] is None
    assert view()["refresh_unknown_since"] is not None


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
        spool=FakeSpool(),
        instance_id="here",
        auth_client=lambda connection: idp,
        clock=SystemClock(),
    )


def test_eight_callers_with_own_sessions_spend_one_refresh_token(database, connection_id):
    connect(database, connection_id, expires_in_s=0)
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
    connect(database, connection_id, expires_in_s=0)

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
    connect(database, connection_id, expires_in_s=0)
    idp = FakeIdp()
    idp.errors = [error]
    assert broker(database, idp).serve(connection_id, wait_s=5).state == state


def test_a_locked_row_and_a_lost_database_leave_the_state_alone(
    database, database_url, connection_id
):
    connect(database, connection_id, expires_in_s=0)
    idp = FakeIdp()
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT 1 FROM hub.integration_connection FOR UPDATE")
        own = database.fork()
        own.session().execute("SET lock_timeout = '100ms'")
        with pytest.raises(DatabaseUnavailable):
            broker(own, idp).serve(connection_id)
        own.close()
    nowhere = Database.from_url("postgresql://hub@127.0.0.1:1/hub", connect_timeout_s=1)
    with pytest.raises(DatabaseUnavailable):
        broker(nowhere, idp).serve(connection_id)
    found = PostgresTokenStore(database).read(connection_id)[0]
    assert (found.auth_state, found.needs_reauth, found.degraded_since) == (
        "connected",
        False,
        None,
    )
    assert idp.posts == []


# --- whose tokens ------------------------------------------------------------------------------


def test_a_consent_binds_the_tokens_to_this_hub_and_frees_them(database, connection_id):
    lock = PostgresInstanceLock(database)
    connect(database, connection_id, instance_id="a")
    assert lock.lock_foreign("a") == []
    assert lock.lock_foreign("b") == ["acme/main"]
    found = PostgresTokenStore(database).read(connection_id)[0]
    assert (found.instance_id, found.is_locked) == ("a", True)
    assert "copied or restored" in found.not_ready_because()
    assert (status_of(found).state, status_of(found).next_action) == ("locked", "adopt")
    assert lock.lock_foreign("b") == ["acme/main"][:0], "told once"
    again = connect(database, connection_id, instance_id="b")
    assert (again.instance_id, again.is_locked) == ("b", False)


def test_a_database_that_comes_home_is_free_again(database, connection_id):
    lock = PostgresInstanceLock(database)
    connect(database, connection_id, instance_id="a")
    lock.lock_foreign("b")
    assert lock.lock_foreign("a") == []
    assert PostgresTokenStore(database).read(connection_id)[0].not_ready_because() is None


def test_pairs_swapped_by_hand_are_refused_once_and_never_sent(database, connection_id):
    other = insert(database, "other")
    for one, company in ((connection_id, "co"), (other, "other")):
        connect(database, one, company_id=company)
    database.execute(
        "UPDATE hub.encrypted_secret s SET ciphertext = o.ciphertext FROM hub.encrypted_secret o"
        " WHERE o.id <> s.id"
    )
    idp = FakeIdp()
    for one in (connection_id, other, connection_id, other):
        served = broker(database, idp).serve(one)
        assert (served.state, served.access_token) == ("refused", "")
    found = [PostgresTokenStore(database).read(one)[0] for one in (connection_id, other)]
    assert [(one.needs_reauth, one.auth_code) for one in found] == [(True, "SECRET_MISPLACED")] * 2
    noted = database.rows(
        "SELECT target FROM hub.audit_log WHERE action = 'connection.secret_misplaced' ORDER BY seq"
    )
    assert [row["target"] for row in noted] == ["connection:acme:main", "connection:acme:other"]
    assert idp.posts == [], "a token of another connection is never spent"
    assert connect(database, connection_id).not_ready_because() is None


def test_an_adoption_is_audited_once(database, connection_id):
    lock = PostgresInstanceLock(database)
    connect(database, connection_id, instance_id="a")
    lock.lock_foreign("b")
    assert lock.adopt(connection_id, "b", actor="ann", request_id="r")
    assert not lock.adopt(connection_id, "b", actor="ann", request_id="r")
    found = PostgresTokenStore(database).read(connection_id)[0]
    assert (found.instance_id, found.is_locked) == ("b", False)
    [entry] = database.rows("SELECT * FROM hub.audit_log WHERE action = 'connection.adopted'")
    assert (entry["actor"], entry["target"], entry["detail"]) == (
        "ann",
        "connection:acme:main",
        {"held_by": "a", "adopted_by": "b"},
    )


def test_tokens_from_before_the_binding_are_bound_at_their_next_refresh(database, connection_id):
    connect(database, connection_id, instance_id=None)
    assert PostgresInstanceLock(database).lock_foreign("b") == []
    bound = PostgresTokenStore(database, "b")
    assert save(bound, claim(bound, connection_id))
    assert bound.read(connection_id)[0].instance_id == "b"


# --- flows -------------------------------------------------------------------------------------

FLOW = {"nonce_hash": "n", "actor": "ann", "cookie_hash": "c"}


def start(database: Database, connection_id: int, ttl_s: int = 600) -> PostgresOAuthFlowStore:
    flows = PostgresOAuthFlowStore(database)
    flow = StartedFlow(connection_id, Sealed("k", b"v"), "https://hub.example/cb")
    flows.start(flow, **FLOW, ttl_s=ttl_s)
    return flows


def test_a_flow_is_consumed_once(database, connection_id):
    flows = start(database, connection_id)
    assert flows.consume(**FLOW) == StartedFlow(
        connection_id, Sealed("k", b"v"), "https://hub.example/cb"
    )
    assert flows.consume(**FLOW) is None
    (row,) = database.rows("SELECT * FROM hub.oauth_flow")
    assert (row["verifier_ciphertext"], row["verifier_key_id"]) == (None, None)


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
