"""The broker: who refreshes, who waits, what is served when the identity server is in trouble."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from integrations_hub.access import Broker, seal_pair
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import (
    GrantRejected,
    ProviderContractError,
    ProviderUnreachable,
    SettingInvalid,
)
from tests.kit.fake_time import START, FakeClock
from tests.kit.fake_tokens import FakeIdp, FakeTokens, PlainVault

CONNECTED = Connection(
    id=7, provider_key="acme", key="main", label="Main", environment="production", company_id="c",
    is_active=True, is_disabled=False, needs_reauth=False, reauth_reason=None, auth_state="connected",
    degraded_since=None, last_ok_at=None, api_base_url="https://api.example/x", connected_by="ann",
    token_version=4, token_expires_at=START + timedelta(hours=1),
)  # fmt: skip


class World:
    """A broker over fakes; `life_s` is what the stored access token has left."""

    def __init__(self, life_s: float = 3600, **changes) -> None:
        self.clock, self.idp, self.vault = FakeClock(), FakeIdp(), PlainVault()
        connection = replace(
            CONNECTED, token_expires_at=START + timedelta(seconds=life_s), **changes
        )
        pair = seal_pair(self.vault, 7, access="a0", refresh="r0")
        self.tokens = FakeTokens(connection, pair, self.clock)
        self.broker = self.make(lambda connection: self.idp)

    def make(self, auth_client) -> Broker:
        return Broker(
            tokens=self.tokens,
            own_tokens=self.tokens.own,
            vault=self.vault,
            auth_client=auth_client,
            clock=self.clock,
        )

    def stored(self) -> dict:
        return json.loads(self.vault.open(self.tokens.sealed, purpose="7:oauth_tokens"))

    def settle(self) -> None:
        """Wait for the refresh threads."""
        for thread in threading.enumerate():
            if thread.name == "refresh-7":
                thread.join(10)


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
    w = world(life_s=301)
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
        claim = w.tokens.claim(7, "other", 40, version=4)
        pair = seal_pair(w.vault, 7, access="a-other", refresh="r-other")
        w.tokens.save_refreshed(claim, pair, expires_in_s=3600, api_base_url=None)
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
    assert w.tokens.failures == [("grant_rejected", True)]
    assert w.broker.serve(7).state == "refused"
    assert w.idp.posts == ["r0"], "the identity server is left alone afterwards"


@pytest.mark.parametrize("error", [ProviderUnreachable("timeout"), ProviderContractError("HTML")])
def test_trouble_that_passes_keeps_the_tokens_and_serves_the_old_one(world, error):
    w = world(life_s=120)
    w.idp.errors = [error]
    assert w.broker.serve(7).access_token == "a0"
    assert w.tokens.failures == [("unreachable", False)]
    assert w.stored()["refresh_token"] == "r0"


def test_trouble_that_passes_with_a_dead_token_asks_to_come_back(world):
    w = world(life_s=0)
    w.idp.errors = [ProviderUnreachable("timeout")]
    served = w.broker.serve(7)
    assert served.state == "refreshing"
    assert "identity server" in served.reason
    assert w.broker.serve(7).access_token == "a2"


def test_one_attempt_is_made_after_a_refresh_that_never_told_its_outcome(world):
    w = world(life_s=0)
    w.tokens.interrupted = True
    w.idp.errors = [GrantRejected("invalid_grant")]
    assert w.broker.serve(7).state == "refused"
    assert w.idp.posts == ["r0"]


def test_a_new_pair_is_saved_although_the_database_was_away(world):
    w = world(life_s=0)
    w.tokens.database_away = 5
    w.broker.serve(7)
    w.settle()
    assert w.stored()["refresh_token"] == "r1"
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
    assert w.tokens.held is None


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
