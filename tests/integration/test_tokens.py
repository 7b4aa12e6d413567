"""The token store on a real PostgreSQL."""

import json
from dataclasses import replace

import pytest

from integrations_hub.admin.connections import status_of
from integrations_hub.errors import (
    ConflictingChange,
    NotFound,
)
from integrations_hub.ports.credentials import Failure
from integrations_hub.store.database import Database
from integrations_hub.store.housekeeping import HousekeepingStore
from integrations_hub.store.tokens import PostgresTokenStore
from tests.kit.stored_tokens import RING, claim, connect, insert, pair, save


def column(database: Database, name: str):
    return database.rows(f"SELECT {name} AS value FROM hub.integration_connection")[0]["value"]


def age(database: Database, **columns: str) -> None:
    """Move instants of the connection into the past: `degraded_since="25 h"`."""
    for name, past in columns.items():
        database.execute(
            f"UPDATE hub.integration_connection SET {name} = clock_timestamp() - interval '{past}'"
        )


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
