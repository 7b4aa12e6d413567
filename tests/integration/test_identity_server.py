"""The identity server of the tests behaves as the tests that stand on it believe."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from integrations_hub.transport.oauth import refresh_form
from tests.kit.oidc import CLIENT_ID, CLIENT_SECRET, IdentityServer


@pytest.fixture(scope="module")
def identity() -> Iterator[IdentityServer]:
    with IdentityServer() as server:
        yield server


def refresh(server: IdentityServer, token: str) -> httpx.Response:
    form = refresh_form(token, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.post(f"{server.url}/connect/token", data=form)


def test_a_refresh_token_used_twice_ends_its_family(identity: IdentityServer) -> None:
    first = identity.mint()
    second = refresh(identity, first.refresh_token).json()["refresh_token"]
    assert identity.grant_of(second) == (first.grant_id, False)
    assert identity.grant_of(first.refresh_token) == (first.grant_id, True)
    assert identity.alive(first.grant_id)
    assert refresh(identity, first.refresh_token).json()["error"] == "invalid_grant"
    assert not identity.alive(first.grant_id)
    assert refresh(identity, second).json()["error"] == "invalid_grant"


def test_a_lost_answer_has_spent_the_token(identity: IdentityServer) -> None:
    family = identity.mint()
    identity.reset()
    identity.switch(drop_answers=1)
    with pytest.raises(httpx.RemoteProtocolError):
        refresh(identity, family.refresh_token)
    assert identity.grant_of(family.refresh_token) == (family.grant_id, True)
    assert identity.alive(family.grant_id)
    assert (identity.asked("refresh_token"), identity.granted("refresh_token")) == (1, 1)


def test_a_grant_that_the_user_revoked_is_dead(identity: IdentityServer) -> None:
    family, other = identity.mint(), identity.mint()
    identity.revoke(family.grant_id)
    assert (identity.alive(family.grant_id), identity.alive(other.grant_id)) == (False, True)
    assert refresh(identity, family.refresh_token).json()["error"] == "invalid_grant"
