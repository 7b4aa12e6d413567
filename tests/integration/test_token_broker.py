"""The broker on a real PostgreSQL: one exchange, trouble told apart, and whose tokens they are."""

import threading
from contextlib import suppress

import psycopg
import pytest

from integrations_hub.admin.connections import status_of
from integrations_hub.errors import (
    DatabaseUnavailable,
    GrantRejected,
    ProviderUnreachable,
)
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresInstanceLock, PostgresTokenStore
from tests.kit.fake_tokens import FakeIdp
from tests.kit.stored_tokens import broker, claim, connect, insert, save


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


def test_a_consent_binds_the_tokens_to_this_hub_and_frees_them(database, connection_id):
    lock = PostgresInstanceLock(database)
    connect(database, connection_id, instance_id="a")
    assert lock.lock_foreign("a") == []
    assert lock.lock_foreign("b") == ["acme/main"]
    found = PostgresTokenStore(database).read(connection_id)[0]
    assert (found.instance_id, found.is_locked) == ("a", True)
    assert "copied or restored" in found.not_ready_because()
    assert (status_of(found).state, status_of(found).next_action) == ("locked", "adopt")
    assert lock.lock_foreign("b") == [], "told once"
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
