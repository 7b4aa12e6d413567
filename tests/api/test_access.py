"""Who may call what: every route of the app, by the one table, and no other site's page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI

from bridge_api.app import standalone
from bridge_api.routing import HubRoute, refuse_unguarded
from bridge_api.security import (
    CALLBACK,
    CALLBACK_ALIAS,
    CALLBACK_STATIC,
    LIVENESS,
    ROUTE_CLASSES,
    RouteClass,
    class_of,
)
from integrations_hub.errors import SecretKeyDropped, SecretKeyMissing
from integrations_hub.vault.keyring import Keyring
from tests.kit.bridge import ADMIN, API, KEY, VIEWER, BridgeKit

_VALUES = {
    "provider": "bqe",
    "object": "projects",
    "key": "acme",
    "id": "1",
    "revision": "1",
    "file": "connect.js",
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found = [
        (method, route.path) for route in app.routes for method in getattr(route, "methods", ["?"])
    ]
    assert len(found) >= 20
    return sorted(found)


def concrete(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: _VALUES[match.group(1)], path)


def test_the_table_names_only_routes_that_exist(bridge: BridgeKit) -> None:
    assert set(ROUTE_CLASSES) <= set(routes(bridge.app))


def test_the_anonymous_routes_are_these_four(bridge: BridgeKit) -> None:
    anonymous = {(m, p) for m, p in routes(bridge.app) if class_of(m, p) is RouteClass.ANONYMOUS}
    assert anonymous == {
        ("GET", LIVENESS),
        ("GET", CALLBACK),
        ("GET", CALLBACK_ALIAS),
        ("GET", CALLBACK_STATIC),
    }


def test_every_route_lets_in_exactly_its_class(bridge: BridgeKit) -> None:
    for method, path in routes(bridge.app):
        kind = class_of(method, path)
        answers = [
            bridge.call(method, concrete(path), headers=headers).status_code
            for headers in ({}, VIEWER, ADMIN)
        ]
        expected = {
            RouteClass.ANONYMOUS: [False, False, False],
            RouteClass.SIGNED_IN: [True, False, False],
            RouteClass.ADMIN: [True, True, False],
        }[kind]
        refused = [status in (401, 403) for status in answers]
        assert refused == expected, (method, path, answers)


def test_without_a_sign_in_the_body_is_not_even_read(bridge: BridgeKit) -> None:
    kwargs: dict[str, Any] = {
        "content": b"{broken",
        "headers": {"Content-Type": "application/json", "X-Hub-CSRF": "1"},
    }
    assert bridge.call("POST", f"{API}/connections", **kwargs).status_code == 401


def test_a_viewer_learns_that_it_is_not_for_them_and_nothing_else(bridge: BridgeKit) -> None:
    assert bridge.call("GET", "/api/capabilities/", headers=VIEWER).json() == {
        "integrations": {"enabled": False, "reason": "admins only", "providers": []}
    }
    assert bridge.call("GET", "/api/capabilities/").json()["integrations"] == {
        "enabled": True, "reason": None, "providers": ["bqe"],
    }  # fmt: skip


def test_an_app_with_an_unguarded_route_does_not_start() -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/open", lambda: "hello")
    with pytest.raises(TypeError, match="/open"):
        refuse_unguarded(app)


def test_a_new_route_is_for_admins_by_default(bridge: BridgeKit) -> None:
    bridge.app.router.add_api_route(
        "/api/new", lambda: {"secret": 1}, route_class_override=HubRoute
    )
    assert [
        bridge.call("GET", "/api/new", headers=headers).status_code
        for headers in ({}, VIEWER, ADMIN)
    ] == [401, 403, 200]


CREATE = ("POST", f"{API}/connections", {"key": "x", "label": "X", "environment": "production"})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    "sign_in", [ADMIN, {"Cookie": "_token=admin", "X-Hub-CSRF": "1"}], ids=["bearer", "cookie"]
)
def test_a_page_of_another_site_changes_nothing(
    bridge: BridgeKit, headers: dict[str, str], sign_in: dict[str, str]
) -> None:
    answer = bridge.call(*CREATE, headers={**sign_in, **headers})
    assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_REFUSED")
    assert bridge.database.rows("SELECT 1 FROM hub.integration_connection") == []


def test_a_cookie_alone_changes_nothing(bridge: BridgeKit) -> None:
    answer = bridge.call(*CREATE, headers={"Cookie": "_token=admin"})
    assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_REFUSED")
    own_page = {
        "Cookie": "_token=admin",
        "X-Hub-CSRF": "1",
        "Origin": "http://127.0.0.1:8080",
        "Sec-Fetch-Site": "same-origin",
    }
    assert bridge.call(*CREATE, headers=own_page).status_code == 201


def test_the_public_address_is_an_own_page_behind_a_proxy(database_url: str) -> None:
    kit = BridgeKit(database_url, HUB_PUBLIC_URL="https://hub.example.test/")
    try:
        own_page = {
            "Cookie": "_token=admin",
            "X-Hub-CSRF": "1",
            "Origin": "https://hub.example.test",
        }
        assert kit.call(*CREATE, headers=own_page).status_code == 201
    finally:
        kit.close()


def test_a_form_is_refused(bridge: BridgeKit) -> None:
    headers = {**ADMIN, "Content-Type": "application/x-www-form-urlencoded"}
    answer = bridge.call("POST", f"{API}/connections", content=b"key=x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "CONTENT_TYPE")


def test_without_a_key_every_route_but_liveness_says_so(database_url: str) -> None:
    kit = BridgeKit(database_url, INTEGRATIONS_SECRET_KEY="")
    try:
        for method, path in routes(kit.app):
            answer = kit.call(method, concrete(path))
            if path == LIVENESS:
                assert answer.status_code == 200
            else:
                assert (answer.status_code, answer.json()["code"]) == (503, "CONFIG_MISSING_KEY"), (
                    path
                )
    finally:
        kit.close()


def test_without_a_key_in_use_every_route_but_liveness_says_so(database_url: str) -> None:
    old = BridgeKit(database_url)
    kit = BridgeKit(database_url, INTEGRATIONS_SECRET_KEY=Keyring.new_key())
    both = BridgeKit(database_url, INTEGRATIONS_SECRET_KEY=f"{Keyring.new_key()},{KEY}")
    try:
        old.connect()
        for method, path in routes(kit.app):
            answer = kit.call(method, concrete(path))
            if path == LIVENESS:
                assert answer.status_code == 200
            else:
                told = answer.json()
                assert (answer.status_code, told["code"]) == (503, "SECRET_KEY_DROPPED"), path
                assert f"key {Keyring.from_setting(KEY).key_id} (1 rows)" in told["message"]
        assert both.call("GET", f"{API}/connections").status_code == 200
        kit.database.execute("DELETE FROM hub.encrypted_secret")  # as `hub secrets forget` does
        assert kit.call("GET", f"{API}/connections").status_code == 200
    finally:
        for one in (old, kit, both):
            one.close()


def test_switched_off_nobody_asks_for_a_key(database_url: str) -> None:
    kit = BridgeKit(database_url, INTEGRATIONS_SECRET_KEY="", INTEGRATIONS_ENABLED="false")
    try:
        assert kit.call("GET", f"{API}/connections").status_code == 200
    finally:
        kit.close()


def test_the_bridge_alone_does_not_start_without_its_keys(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = BridgeKit(database_url)
    monkeypatch.setenv("INTEGRATIONS_ENABLED", "true")
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:1")
    try:
        kit.connect()
        monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", "")
        with pytest.raises(SecretKeyMissing, match="INTEGRATIONS_SECRET_KEY is not set"):
            standalone()
        monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", Keyring.new_key())
        with pytest.raises(SecretKeyDropped, match=r"\(1 rows\)"):
            standalone()
        monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", KEY)
        assert standalone().routes
        monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/hub")
        assert standalone().routes  # a database that is away is no reason: the routes tell it
    finally:
        kit.close()
