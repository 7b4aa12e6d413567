"""A copied or restored database: its connections are locked until an admin decides."""

from __future__ import annotations

from integrations_hub import admin_wiring
from tests.kit.bridge import API, VIEWER, BridgeKit

ADOPT = f"{API}/connections/acme/adopt"


def locked_copy(bridge: BridgeKit) -> BridgeKit:
    """The same database under a Hub with another id."""
    bridge.create()
    bridge.database.execute(
        "UPDATE hub.integration_connection SET instance_id = 'original', is_active = true, company_id = 'c'"
    )
    admin_wiring.publish(bridge.database, {**bridge.environ, "HUB_INSTANCE_ID": "copy"})
    return bridge


def test_a_locked_connection_says_so_and_an_admin_adopts_it(database_url: str) -> None:
    kit = locked_copy(BridgeKit(database_url, HUB_INSTANCE_ID="copy"))
    try:
        found = kit.status()
        assert (found["state"], found["next_action"]) == ("locked", "adopt")
        assert "copied or restored" in found["reason"]
        assert kit.call("POST", ADOPT, headers={"X-Hub-CSRF": "1"}).status_code == 401
        assert kit.call("POST", ADOPT, headers=VIEWER).status_code == 403
        assert kit.status()["state"] == "locked"

        assert kit.call("POST", ADOPT).json()["state"] != "locked"
        assert kit.call("POST", ADOPT).status_code == 200, "twice is once"
        assert kit.audit() == ["admin connection.created", "admin connection.adopted"]
    finally:
        kit.close()


def test_nobody_adopts_what_does_not_exist(bridge: BridgeKit) -> None:
    assert bridge.call("POST", ADOPT).status_code == 404
    assert bridge.call("POST", f"{API}/connections/Not-A-Key/adopt").status_code == 422
