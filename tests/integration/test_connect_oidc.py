"""The consent against an identity server that we did not write, one-time refresh tokens on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bridge_api import deps
from integrations_hub import wiring
from integrations_hub.ports.credentials import Sealed
from integrations_hub.refresh import purpose_of
from integrations_hub.transport.oauth import code_form, refresh_form
from tests.kit.bridge import ADMIN, API, BridgeKit
from tests.kit.oidc import CALLBACK, CLIENT_ID, CLIENT_SECRET, IdentityServer


@pytest.fixture(scope="module")
def server() -> Iterator[IdentityServer]:
    with IdentityServer() as made:
        yield made


@pytest.fixture
def identity(server: IdentityServer) -> IdentityServer:
    server.reset()
    return server


@pytest.fixture
def hub(identity: IdentityServer, database_url: str) -> Iterator[BridgeKit]:
    """The bridge with its own auth client, which speaks to the identity server."""
    kit = BridgeKit(database_url, **identity.settings())
    kit.app.dependency_overrides.pop(deps.auth_clients)
    kit.create()
    yield kit
    kit.close()


def start(hub: BridgeKit) -> tuple[str, str]:
    """(authorize URL, cookie)."""
    answer = hub.call("POST", f"{API}/connect/start?connection=acme", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()["authorize_url"], answer.headers["set-cookie"].partition(";")[0]


def callback_request(address: str, cookie: str):
    """What a browser asks when the identity server sends it to this callback address."""
    assert address.startswith(CALLBACK)
    params = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    return ("GET", f"{API}/connect/callback", None, {"Cookie": cookie}, {"params": params})


def connect(hub: BridgeKit, identity: IdentityServer) -> httpx.Response:
    url, cookie = start(hub)
    return hub.calls(callback_request(identity.consent(url), cookie))[0]


def pair(hub: BridgeKit) -> dict[str, str]:
    """The token pair as the broker would read it."""
    (row,) = hub.database.rows("SELECT * FROM hub.encrypted_secret")
    assert b"refresh" not in bytes(row["ciphertext"])
    sealed = Sealed(row["key_id"], bytes(row["ciphertext"]))
    ring = wiring.keyring(hub.environ)
    return dict(json.loads(ring.open(sealed, purpose=purpose_of(row["connection_id"]))))


def state(hub: BridgeKit) -> str:
    return hub.status()["state"]


def renew(hub: BridgeKit) -> str:
    """Let the access token run out and ask the broker; returns the state it serves."""
    hub.database.execute("UPDATE hub.integration_connection SET token_expires_at = now()")
    return wiring.broker(hub.database, hub.environ).serve(1, wait_s=20).state


def post(identity: IdentityServer, form: dict[str, str]) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.post(f"{identity.url}/connect/token", data=form)


def test_consent_renewal_and_the_end_of_a_replayed_family(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    answer = connect(hub, identity)
    assert (answer.status_code, "Acme is connected." in answer.text) == (200, True)
    view = hub.status()
    assert (view["state"], view["company_id"], view["missing_scopes"]) == (
        "connected",
        "company-a",
        [],
    )
    first = pair(hub)
    grant, spent = identity.grant_of(first["refresh_token"])
    assert (grant is not None, spent) == (True, False)

    assert renew(hub) == "ready"
    second = pair(hub)
    assert second["refresh_token"] != first["refresh_token"]
    assert identity.grant_of(first["refresh_token"]) == (grant, True)
    assert identity.grant_of(second["refresh_token"]) == (grant, False)
    assert identity.counters() == {
        "authorization_code": {"asked": 1, "granted": 1},
        "refresh_token": {"asked": 1, "granted": 1},
    }

    # somebody else spends the old token: the server ends the family, the Hub says so at its next renewal
    stolen = refresh_form(first["refresh_token"], client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    assert post(identity, stolen).json()["error"] == "invalid_grant"
    assert not identity.alive(str(grant))
    assert state(hub) == "connected"
    assert renew(hub) == "refused"
    assert state(hub) == "needs_reauth"
    assert identity.asked("refresh_token") == 3

    assert connect(hub, identity).status_code == 200
    assert (state(hub), renew(hub)) == ("connected", "ready")


def test_of_twenty_callbacks_at_once_the_server_sees_one_exchange(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    url, cookie = start(hub)
    request = callback_request(identity.consent(url), cookie)
    answers = hub.calls(*[request] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert identity.counters()["authorization_code"] == {"asked": 1, "granted": 1}
    assert hub.calls(request)[0].status_code == 400
    assert identity.asked("authorization_code") == 1
    assert renew(hub) == "ready"


def test_a_code_that_is_replayed_at_the_server_ends_the_connection_visibly(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    url, cookie = start(hub)
    request = callback_request(identity.consent(url), cookie)
    (flow,) = hub.database.rows("SELECT * FROM hub.oauth_flow")
    sealed = Sealed(flow["verifier_key_id"], bytes(flow["verifier_ciphertext"]))
    verifier = wiring.keyring(hub.environ).open(sealed, purpose="1:oauth_verifier")
    assert hub.calls(request)[0].status_code == 200
    stolen = code_form(
        code=request[4]["params"]["code"],
        redirect_uri=CALLBACK,
        code_verifier=verifier,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    assert post(identity, stolen).json()["error"] == "invalid_grant"
    assert (renew(hub), state(hub)) == ("refused", "needs_reauth")


def test_a_wrong_verifier_gets_no_token_and_is_gone_afterwards(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    url, cookie = start(hub)
    other = wiring.keyring(hub.environ).seal("w" * 43, purpose="1:oauth_verifier")
    hub.database.execute(
        "UPDATE hub.oauth_flow SET verifier_key_id = %(key_id)s, verifier_ciphertext = %(text)s",
        {"key_id": other.key_id, "text": other.ciphertext},
    )
    answer = hub.calls(callback_request(identity.consent(url), cookie))[0]
    assert (answer.status_code, "GRANT_REJECTED" in answer.text) == (409, True)
    (flow,) = hub.database.rows("SELECT verifier_ciphertext, consumed_at FROM hub.oauth_flow")
    assert (flow["verifier_ciphertext"], flow["consumed_at"] is None) == (None, False)
    assert (state(hub), identity.granted("authorization_code")) == ("new", 0)


@pytest.mark.parametrize("spoiled", ["plain", "missing"])
def test_the_server_wants_the_challenge_as_we_send_it(
    hub: BridgeKit, identity: IdentityServer, spoiled: str
) -> None:
    url, cookie = start(hub)
    assert "code_challenge_method=S256" in url
    parts = httpx.URL(url)
    if spoiled == "plain":
        parts = parts.copy_set_param("code_challenge_method", "plain")
    else:
        parts = parts.copy_remove_param("code_challenge").copy_remove_param("code_challenge_method")
    answer = hub.calls(callback_request(identity.consent(str(parts)), cookie))[0]
    assert (answer.status_code, "CONSENT_FAILED" in answer.text) == (400, True)
    assert (state(hub), identity.asked("authorization_code")) == ("new", 0)


def test_a_cancelled_consent_is_told_as_such(hub: BridgeKit, identity: IdentityServer) -> None:
    url, cookie = start(hub)
    answer = hub.calls(callback_request(identity.consent(url, decision="deny"), cookie))[0]
    assert (answer.status_code, "CONSENT_DENIED" in answer.text) == (400, True)


def test_an_answer_in_the_name_of_another_server_is_not_exchanged(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    url, cookie = start(hub)
    address = httpx.URL(identity.consent(url))
    assert address.params["iss"] == identity.url
    mixed = str(address.copy_set_param("iss", "http://127.0.0.1:1"))
    answer = hub.calls(callback_request(mixed, cookie))[0]
    assert (answer.status_code, "OAUTH_ISSUER_MISMATCH" in answer.text) == (400, True)
    assert identity.asked("authorization_code") == 0


def test_a_wrong_client_secret_is_not_blamed_on_the_grant(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    url, cookie = start(hub)
    hub.environ["BQE_CLIENT_SECRET"] = "wrong"
    answer = hub.calls(callback_request(identity.consent(url), cookie))[0]
    assert (answer.status_code, "client id and client secret" in answer.text) == (409, True)
