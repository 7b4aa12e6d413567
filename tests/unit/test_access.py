"""The broker: who refreshes, who waits, what is served when the identity server is in trouble."""

import threading
from dataclasses import replace

import pytest

from integrations_hub.access import margin_s
from integrations_hub.errors import (
    GrantRejected,
    HostNotAllowed,
    OutcomeUnknown,
    ProviderContractError,
    ProviderUnreachable,
    RateLimited,
    SettingInvalid,
)
from integrations_hub.ports.credentials import NewPair
from integrations_hub.refresh import RefreshFacts, intent_of, seal_pair
from tests.kit.broker_world import CONNECTED, World
from tests.kit.fake_time import START
from tests.kit.fake_tokens import FakeIdp


@pytest.fixture
def world():
    made: list[World] = []

    def make(*args, **kwargs) -> World:
        made.append(World(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.idp.gate.set()
        each.settle()


def test_a_living_token_is_served_without_asking_the_provider(world):
    w = world(life_s=361)
    served = w.broker.serve(7)
    assert (served.state, served.access_token, served.token_version) == ("ready", "a0", 4)
    assert (served.provider_key, served.connection_key, served.api_base_url) == (
        "acme",
        "main",
        "https://api.example/x",
    )
    assert w.idp.posts == []


def test_a_token_near_its_end_is_refreshed_and_the_pair_is_stored(world):
    w = world(life_s=299)
    served = w.broker.serve(7)
    assert (served.state, served.access_token, served.token_version) == ("ready", "a1", 5)
    assert w.idp.posts == ["r0"]
    assert w.stored() == {"access_token": "a1", "refresh_token": "r1"}


def test_a_rejected_version_is_refreshed_however_long_it_lives(world):
    w = world(life_s=3600)
    w.tokens.reject(7, 4)
    assert w.broker.serve(7).access_token == "a1"
    assert w.broker.serve(7).access_token == "a1", "the new version is not rejected"
    assert w.idp.posts == ["r0"]


def test_a_rejection_of_an_older_version_changes_nothing(world):
    w = world()
    w.tokens.reject(7, 3)
    assert w.broker.serve(7).access_token == "a0"
    assert w.idp.posts == []


def test_a_new_token_that_was_rejected_already_is_not_served(world):
    w = world(life_s=0)

    class Hasty(FakeIdp):
        def refresh(self, refresh_token):
            w.tokens.rejected = 5  # a task tries version 5 before its caller here comes back
            return super().refresh(refresh_token)

    served = w.make(lambda connection: Hasty()).serve(7)
    assert (served.state, served.access_token) == ("refreshing", "")


def test_whoever_comes_late_to_a_finished_refresh_spends_nothing(world):
    w = world(life_s=0)

    def another_process_refreshes(connection):
        claim = w.tokens.claim(7, "other", 40, version=4, intent=None)
        sealed = seal_pair(w.vault, 7, access="a-other", refresh="r-other")
        pair = NewPair(sealed, 3600, w.clock.now(), None)
        w.tokens.save_refreshed(claim, pair, expires_in_s=3600)
        return w.idp

    assert w.make(another_process_refreshes).serve(7).access_token == "a-other"
    assert w.idp.posts == []


def test_a_token_that_lives_shorter_than_the_margin_is_served_once_it_is_new(world):
    w = world(life_s=0)
    w.idp.expires_in_s = 60
    assert w.broker.serve(7).access_token == "a1"


def test_an_answer_without_a_refresh_token_keeps_the_old_one(world):
    w = world(life_s=0)
    w.idp.rotates = False
    assert w.broker.serve(7).access_token == "a1"
    assert w.stored()["refresh_token"] == "r0"


def test_sixteen_callers_spend_one_refresh_token(world):
    w = world(life_s=0)
    w.idp.gate.clear()
    served = []
    threads = [
        threading.Thread(target=lambda: served.append(w.broker.serve(7, wait_s=5)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    w.idp.gate.set()
    for thread in threads:
        thread.join()
    # losers wait on the fake clock, which can run out before the winner is done: they ask again
    served = [one if one.state == "ready" else w.broker.serve(7) for one in served]
    assert {one.access_token for one in served} == {"a1"}
    assert w.idp.posts == ["r0"]


def test_a_slow_identity_server_is_not_waited_for_longer_than_allowed(world):
    w = world(life_s=0)
    w.idp.gate.clear()
    served = w.broker.serve(7, wait_s=0.05)
    assert (served.state, served.access_token) == ("refreshing", "")
    assert w.broker.serve(7, wait_s=0.05).state == "refreshing"
    w.idp.gate.set()
    w.settle()
    assert w.broker.serve(7).access_token == "a1"
    assert w.idp.posts == ["r0"]


def test_the_old_token_is_served_while_a_slow_refresh_goes_on(world):
    w = world(life_s=120)
    w.idp.gate.clear()
    assert w.broker.serve(7, wait_s=0.05).access_token == "a0"


def test_a_rejected_grant_needs_a_person_at_once(world):
    w = world(life_s=0)
    w.idp.errors = [GrantRejected("invalid_grant")]
    served = w.broker.serve(7)
    assert (served.state, served.reason) == ("refused", "the provider rejected its grant")
    assert "reconnect" in served.hint
    [failure] = w.tokens.failures
    assert (failure.code, failure.for_good) == ("GRANT_REJECTED", True)
    assert w.broker.serve(7).state == "refused"
    assert w.idp.posts == ["r0"], "the identity server is left alone afterwards"


@pytest.mark.parametrize(
    ("error", "unknown", "wait_s"),
    [
        (ProviderUnreachable("refused", retry_after_s=30), False, 30),
        (RateLimited("429", retry_after_s=90), False, 90),
        (ProviderContractError("400 invalid_scope", code="TOKEN_REQUEST_REFUSED"), False, 0),
        (OutcomeUnknown("timeout"), True, 0),
        (ProviderContractError("200 without a token"), True, 0),
        (HostNotAllowed("elsewhere"), True, 0),
    ],
)
def test_trouble_that_passes_keeps_the_tokens_and_says_whether_one_may_be_spent(
    world, error, unknown, wait_s
):
    w = world(life_s=120)
    w.idp.errors = [error]
    assert w.broker.serve(7).access_token == "a0"
    [failure] = w.tokens.failures
    assert (failure.for_good, failure.unknown, failure.wait_s) == (False, unknown, wait_s)
    assert failure.code == error.code
    assert ("tried once more" in failure.detail) == unknown
    assert w.stored()["refresh_token"] == "r0"
    assert w.idp.posts == ["r0"], "never repeated at once"


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"reuse": "grace"}, "accepts it again"),
        ({"reuse": "none"}, "a reconnect is needed"),
        ({"reuse": "unknown"}, "may be needed"),
        ({"rotates": False}, None),
    ],
)
def test_a_lost_answer_means_what_the_metadata_says_of_spent_tokens(world, facts, says):
    w = world(life_s=0)
    w.idp.errors = [OutcomeUnknown("timeout")]
    w.make(lambda connection: w.idp, **facts).serve(7)
    [failure] = w.tokens.failures
    assert failure.unknown == (says is not None)
    assert (says or "") in failure.detail
    assert w.tokens.intents == [intent_of(4, "r0") if says else None]
    assert "r0" not in (w.tokens.intents[0] or "")


def test_trouble_that_passes_with_a_dead_token_asks_to_come_back(world):
    w = world(life_s=0)
    w.idp.errors = [ProviderUnreachable("timeout")]
    served = w.broker.serve(7)
    assert served.state == "refreshing"
    assert "identity server" in served.reason
    assert w.broker.serve(7).access_token == "a2"


def test_one_attempt_is_made_after_a_refresh_that_never_told_its_outcome(world):
    w = world(life_s=0)
    w.tokens.unknown_since = START
    w.idp.errors = [GrantRejected("invalid_grant")]
    served = w.broker.serve(7)
    assert (served.state, served.reason) == (
        "refused",
        "a refresh was interrupted and the old sign-in no longer works",
    )
    assert served.hint == "A refresh was interrupted at 2026-03-01 12:00:00 UTC; please reconnect."
    assert w.idp.posts == ["r0"]


def test_a_wrong_client_secret_is_named_even_after_an_interrupted_refresh(world):
    w = world(life_s=0)
    w.tokens.unknown_since = START
    w.idp.errors = [
        GrantRejected("invalid_client", code="CLIENT_REJECTED", hint="Correct id and secret.")
    ]
    served = w.broker.serve(7)
    assert served.reason == "the provider rejected the app's client id or secret"
    assert "Correct id and secret." in served.hint


def test_a_process_frozen_after_its_claim_spends_nothing(world):
    w = world(life_s=0)
    won = w.tokens.claim

    def claim_then_freeze(*args, **kwargs):
        claim = won(*args, **kwargs)
        w.clock.advance(11)
        return claim

    w.tokens.claim = claim_then_freeze
    assert w.broker.serve(7).state == "refreshing"
    assert (w.idp.posts, w.tokens.given_back, w.tokens.held) == ([], 1, None)


def test_a_new_pair_is_saved_although_the_database_was_away(world):
    w = world(life_s=0)
    w.tokens.database_away = 5
    w.broker.serve(7)
    w.settle()
    assert w.stored()["refresh_token"] == "r1"
    assert w.tokens.expires_in_s == 3600 - 5 * 0.5, "its life counts from the answer"
    assert w.idp.posts == ["r0"]
    assert w.spool.log == ["put", "drop"], "kept on disk while the database was away, not after"


def test_a_pair_that_the_database_never_took_is_saved_by_the_next_use(world):
    w = world(life_s=0)
    w.tokens.database_away = 10_000
    w.broker.serve(7)
    w.settle()
    assert w.stored()["refresh_token"] == "r0"
    w.tokens.database_away = 0
    assert w.broker.serve(7).access_token == "a1"
    assert w.stored()["refresh_token"] == "r1"
    assert w.idp.posts == ["r0"]
    assert w.spool.kept == {}


def test_a_full_disk_does_not_end_the_attempts_to_save(world):
    w = world(life_s=0)
    w.spool.full = True
    w.tokens.database_away = 3
    w.broker.serve(7)
    w.settle()
    assert w.stored()["refresh_token"] == "r1"


def test_a_failure_is_noted_although_the_database_was_away(world):
    w = world(life_s=0)
    w.idp.errors = [GrantRejected("invalid_grant")]
    w.tokens.database_away = 5
    w.broker.serve(7)
    w.settle()
    assert [one.code for one in w.tokens.failures] == ["GRANT_REJECTED"]


@pytest.mark.parametrize("bound_to", ["elsewhere", ""])
def test_tokens_of_another_hub_are_neither_served_nor_spent(world, bound_to):
    for life_s in (0, 3600):
        w = world(life_s=life_s, instance_id=bound_to)
        served = w.broker.serve(7)
        assert (served.state, served.access_token) == ("refused", "")
        assert "copied or restored" in served.reason
        assert "adopt" in served.hint
        assert (w.idp.posts, w.tokens.intents) == ([], [])
    assert world(instance_id="here").broker.serve(7).state == "ready"


def test_connections_made_together_do_not_refresh_together_and_each_keeps_its_instant():
    connections = [replace(CONNECTED, id=number) for number in range(200)]
    margins = [margin_s(one, RefreshFacts()) for one in connections]
    assert margins == [margin_s(one, RefreshFacts()) for one in connections]
    assert 300 <= min(margins) < 310
    assert 350 < max(margins) <= 360
    assert margin_s(replace(CONNECTED, token_version=5), RefreshFacts()) != margin_s(
        CONNECTED, RefreshFacts()
    )


def test_a_token_that_lives_shortly_is_used_for_most_of_its_life(world):
    w = world(life_s=16, token_life_s=60)
    assert w.broker.serve(7).access_token == "a0"
    w.clock.advance(2)
    assert w.broker.serve(7).access_token == "a1"
    assert w.idp.posts == ["r0"]


def test_missing_client_settings_refuse_with_the_sentence_and_spend_nothing(world):
    w = world(life_s=0)

    def no_client(connection):
        raise SettingInvalid("ACME_CLIENT_ID is not set.", hint="Set it.")

    served = w.make(no_client).serve(7)
    assert (served.state, served.reason, served.hint) == (
        "refused",
        "ACME_CLIENT_ID is not set.",
        "Set it.",
    )
    assert w.tokens.intents == []


def test_a_key_that_is_gone_refuses_with_its_sentence_and_spends_nothing(world):
    w = world(life_s=0)

    def no_key(sealed, *, purpose):
        raise SettingInvalid("No key opens it.", hint="Put it back.")

    w.vault.open = no_key
    served = w.broker.serve(7)
    assert (served.state, served.reason, served.hint) == (
        "refused",
        "No key opens it.",
        "Put it back.",
    )
    assert w.tokens.intents == []


def test_a_pair_without_a_refresh_token_needs_a_reconnect_when_it_ends(world):
    w = world(life_s=0)
    w.tokens.sealed = seal_pair(w.vault, 7, access="a0", refresh=None)
    assert w.broker.serve(7).state == "refused"
    assert w.idp.posts == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_disabled": True}, "it is disabled"),
        ({"is_active": False}, "it was never connected"),
        (
            {"needs_reauth": True, "reauth_reason": "grant_rejected"},
            "the provider rejected its grant",
        ),
    ],
)
def test_a_connection_that_is_not_ready_is_refused(world, changes, reason):
    w = world(life_s=0, **changes)
    served = w.broker.serve(7)
    assert (served.state, served.reason) == ("refused", reason)
    assert served.hint
    assert w.idp.posts == []


def test_an_unreachable_flag_does_not_stop_serving_or_refreshing(world):
    w = world(life_s=0, needs_reauth=True, reauth_reason="unreachable", auth_state="needs_reauth")
    assert w.broker.serve(7).access_token == "a1"


def test_no_token_shows_in_a_repr(world):
    assert "a0" not in repr(world().broker.serve(7))
