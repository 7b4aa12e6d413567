"""Every error of the Hub has its HTTP answer, in one shape."""

from __future__ import annotations

import json

import pytest

from bridge_api.errors import STATUSES, status_of
from integrations_hub import errors
from integrations_hub.errors import HubError
from tests.kit.bridge import ADMIN, API, BridgeKit

FAMILIES = {
    errors.ConfigurationError: {409, 422, 503},
    errors.AuthorizationNeeded: {409, 400},
    errors.TransientError: {503, 429},
    errors.ProviderContractError: {502},
    errors.RunRefused: {409, 423, 503},
    errors.NotFound: {404},
    errors.Forbidden: {403},
    errors.NotSignedIn: {401},
}


def leaves() -> list[type[HubError]]:
    found = [
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, HubError) and not c.__subclasses__()
    ]
    assert len(found) > 25
    return found


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_a_row_of_its_family(leaf: type[HubError]) -> None:
    assert any(kind in STATUSES for kind in leaf.__mro__[: leaf.__mro__.index(HubError)])
    for family, allowed in FAMILIES.items():
        if issubclass(leaf, family):
            assert status_of(leaf) in allowed


def test_the_answer_is_one_shape_and_carries_the_callers_request_id(bridge: BridgeKit) -> None:
    answer = bridge.call(
        "GET", f"{API}/projects/rule?connection=nobody", headers={**ADMIN, "X-Request-ID": "ui-42"}
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "ui-42"
    assert answer.json() == {
        "code": "CONNECTION_UNKNOWN",
        "message": "There is no connection 'nobody' at bqe.",
        "hint": "Check the name in the address.",
        "request_id": "ui-42",
    }


@pytest.mark.parametrize("given", ["a b", "x" * 65, "é", "<script>", ""])
def test_an_odd_request_id_is_replaced(bridge: BridgeKit, given: str) -> None:
    headers = {b"X-Request-ID": given.encode()}
    found = bridge.call("GET", "/healthz", headers=headers).headers["x-request-id"]
    assert found != given
    assert len(found) == 32


def test_the_framework_answers_in_the_same_shape(bridge: BridgeKit) -> None:
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED"),
    ):
        answer = bridge.call(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_nobody_expected_is_told_without_its_text(bridge: BridgeKit) -> None:
    bridge.airflow.health = None  # type: ignore[assignment, method-assign]
    answer = bridge.call("GET", "/api/integrations/health")
    assert (answer.status_code, answer.json()["code"]) == (500, "UNEXPECTED")
    assert "NoneType" not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"", 422),
        (b"[]", 422),
        (b'{"key": "' + b"x" * 1_000_001 + b'"}', 413),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'"\xff"', 400),
    ],
    ids=["broken", "empty", "list", "large", "deep", "not utf-8"],
)
def test_a_body_that_cannot_be_read_is_refused(bridge: BridgeKit, body: bytes, status: int) -> None:
    headers = {**ADMIN, "Content-Type": "application/json"}
    answer = bridge.call("POST", f"{API}/connections", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) >= {"code", "message", "hint", "request_id"}


def test_a_refused_value_is_not_repeated(bridge: BridgeKit) -> None:
    answer = bridge.call(
        "POST", f"{API}/connections", {"client_secret": "canary-99", "key": "canary-98 "}
    )
    assert answer.status_code == 422
    assert "canary" not in json.dumps(answer.json())


@pytest.mark.parametrize(
    "path", ["/healthz", "/nowhere", f"{API}/connect/callback", "/api/projects"]
)
def test_every_answer_protects_the_browser(bridge: BridgeKit, path: str) -> None:
    headers = bridge.call("GET", path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-hub-contract"] == "1.0"
    assert headers["x-request-id"]


def test_the_database_away_is_503_and_back_is_well(bridge: BridgeKit) -> None:
    good = bridge.environ["HUB_DATABASE_URL"]
    bridge.environ["HUB_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/hub"
    answer = bridge.call("GET", f"{API}/connections")
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"
    bridge.environ["HUB_DATABASE_URL"] = good
    assert bridge.call("GET", f"{API}/connections").status_code == 200


def test_a_session_that_postgres_ended_is_replaced(bridge: BridgeKit) -> None:
    requests = [("GET", f"{API}/connections", None, None, {})]
    bridge.app.state.bridge.pool.close = lambda: None  # keep sessions between calls of the test
    assert bridge.calls(*requests)[0].status_code == 200
    bridge.database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    del bridge.app.state.bridge.pool.close
    assert [bridge.calls(*requests)[0].status_code for _ in range(2)][-1] == 200


def test_without_a_database_url_the_sentence_says_so(bridge: BridgeKit) -> None:
    del bridge.environ["HUB_DATABASE_URL"]
    answer = bridge.call("GET", f"{API}/connections")
    assert (answer.status_code, answer.json()["code"]) == (409, "SETTING_INVALID")
    assert "HUB_DATABASE_URL" in answer.json()["message"]
