"""Maintenance over the bridge: every route has its row and does what it says, with no restart in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_api.maintenance import IN_MAINTENANCE, Closed, Open
from bridge_api.security import LIVENESS
from integrations_hub.admin import maintenance
from integrations_hub.store.heartbeats import PostgresHeartbeatStore
from tests.api.test_access import concrete, routes
from tests.kit.bridge import API, RULE, VIEWER, BridgeKit

# the routes that D20 names: they stay open whatever else the table says
_D20 = {
    ("GET", LIVENESS),
    ("GET", "/api/integrations/health"),
    ("GET", "/api/capabilities/"),
    ("GET", "/api/integrations/{provider}/jobs"),
    ("GET", "/api/jobs/{id}"),
    ("POST", "/api/integrations/{provider}/connect/start"),
    ("GET", "/api/integrations/{provider}/connect/callback"),
    ("GET", "/api/integrations/{provider}/callback"),
}


@pytest.fixture
def kit(database_url: str, tmp_path: Path) -> Iterator[BridgeKit]:
    made = BridgeKit(database_url, HUB_STATE_DIR=str(tmp_path))
    yield made
    made.close()


def switch_on(kit: BridgeKit, why: str = "restoring the dump of Monday") -> None:
    maintenance.switch_on(Path(kit.environ["HUB_STATE_DIR"]), why)


def test_every_route_has_its_row_and_its_reason(kit: BridgeKit) -> None:
    missing = set(routes(kit.app)) - set(IN_MAINTENANCE)
    assert not missing, f"add rows to IN_MAINTENANCE in bridge_api/maintenance.py for {missing}"
    assert all(len(stance.why) > 5 for stance in IN_MAINTENANCE.values())


def test_what_must_stay_open_is_open_and_every_other_change_is_refused() -> None:
    found = {route for route, stance in IN_MAINTENANCE.items() if isinstance(stance, Open)}
    assert found >= _D20
    writing = {(method, path) for method, path in IN_MAINTENANCE if method != "GET"}
    start = "/api/integrations/{provider}/connect"
    assert found & writing == {("POST", f"{start}/start"), ("POST", f"{start}/credentials")}


def test_a_route_does_what_its_row_says(kit: BridgeKit) -> None:
    switch_on(kit)
    for method, path in routes(kit.app):
        stance = IN_MAINTENANCE[method, path]
        answer = kit.call(method, concrete(path))
        if isinstance(stance, Closed):
            told = answer.json()
            assert (answer.status_code, told["code"]) == (423, "MAINTENANCE"), (method, path)
            assert "restoring the dump of Monday" in told["message"]
            assert int(answer.headers["Retry-After"]) == 60
        else:
            assert answer.status_code != 423, (method, path)


def test_a_route_without_a_row_is_refused(kit: BridgeKit) -> None:
    from bridge_api.routing import HubRoute

    kit.app.router.add_api_route("/api/new", lambda: {"a": 1}, route_class_override=HubRoute)
    assert kit.call("GET", "/api/new").status_code == 200
    switch_on(kit)
    assert kit.call("GET", "/api/new").status_code == 423


def test_nobody_learns_of_it_without_a_sign_in(kit: BridgeKit) -> None:
    switch_on(kit)
    path = f"{API}/projects/rule"
    assert kit.call("PUT", path, RULE, headers={"X-Hub-CSRF": "1"}).status_code == 401
    assert kit.call("PUT", path, RULE, headers=VIEWER).status_code == 403


def test_switching_needs_no_restart(kit: BridgeKit) -> None:
    folder = Path(kit.environ["HUB_STATE_DIR"])
    kit.connect()

    def save() -> int:
        return kit.call("PUT", f"{API}/projects/rule", RULE).status_code

    assert save() == 200
    switch_on(kit)
    assert save() == 423
    maintenance.switch_off(folder)
    maintenance.switch_off(folder)
    assert save() == 200


def test_the_environment_switches_it_on_as_well(database_url: str) -> None:
    for said, status in (("true", 423), ("1", 423), ("on", 423), ("false", 201), ("", 201)):
        kit = BridgeKit(database_url, HUB_MAINTENANCE=said)
        try:
            body = {"key": f"x{len(said)}", "label": "X", "environment": "production"}
            assert kit.call("POST", f"{API}/connections", body).status_code == status, said
        finally:
            kit.close()


def test_a_consent_is_finished_in_maintenance(kit: BridgeKit) -> None:
    """A sign-in that began before, and one that begins now: a refresh token lost here is lost for good."""
    kit.create()
    query, cookie = kit.start()
    switch_on(kit)
    assert kit.callback(query["state"], cookie).status_code == 200
    query, cookie = kit.start()
    assert kit.callback(query["state"], cookie, path="/callback").status_code == 200
    assert len(kit.identity.exchanges) == 2


def test_health_says_so_and_why(kit: BridgeKit) -> None:
    PostgresHeartbeatStore(kit.database).beat("housekeeping", {})
    health = "/api/integrations/health"
    before = kit.call("GET", health).json()
    assert (before["status"], before["maintenance"]) == ("ok", None)
    switch_on(kit, "moving\nhouse <b>")
    found = kit.call("GET", health).json()
    assert (found["status"], found["maintenance"]) == ("maintenance", "moving house <b>")


def test_any_lock_file_counts(kit: BridgeKit) -> None:
    lock = Path(kit.environ["HUB_STATE_DIR"]) / maintenance.LOCK_FILE
    lock.touch()
    assert kit.call("PUT", f"{API}/projects/rule", RULE).status_code == 423
    lock.unlink()
    lock.mkdir()  # nothing that can be read, but somebody made it
    assert kit.call("PUT", f"{API}/projects/rule", RULE).status_code == 423
