"""Local projects are read as the product names them."""

from __future__ import annotations

from tests.kit.bridge import BridgeKit


def _names(bridge: BridgeKit, query: str = "") -> list[str]:
    return [item["name"] for item in bridge.call("GET", f"/api/projects{query}").json()["items"]]


def test_inactive_and_deleted_are_left_out_unless_asked_for(bridge: BridgeKit) -> None:
    bridge.database.execute(
        "INSERT INTO hub.projects (name, status, deleted_at) VALUES ('A', 'active', NULL), ('B', 'inactive', NULL),"
        " ('C', 'active', now())"
    )
    assert _names(bridge) == ["A"]
    assert _names(bridge, "?status=inactive") == ["B"]
    assert _names(bridge, "?status=all") == ["A", "B", "C"]
    assert bridge.call("GET", "/api/projects?status=' or 1=1").status_code == 422


def test_pages_follow_ids(bridge: BridgeKit) -> None:
    bridge.database.execute("INSERT INTO hub.projects (name) VALUES ('A'), ('B'), ('C')")
    first = bridge.call("GET", "/api/projects?limit=2").json()
    last = bridge.call("GET", f"/api/projects?limit=2&after={first['next_after']}").json()
    assert [item["name"] for item in first["items"] + last["items"]] == ["A", "B", "C"]
    assert last["next_after"] is None


def test_the_providers_client_stands_beside_the_local_one(bridge: BridgeKit) -> None:
    bridge.database.execute(
        "INSERT INTO hub.projects (name, client, bqe_client_name, bqe_client_id, client_sync_policy_state)"
        """ VALUES ('A', 'Ours', 'Theirs', 'c-1', '{"diverged": true}')"""
    )
    (found,) = bridge.call("GET", "/api/projects").json()["items"]
    assert (found["client"], found["bqeClientName"], found["bqeClientId"]) == (
        "Ours",
        "Theirs",
        "c-1",
    )
    assert found["clientSyncPolicyState"] == {"diverged": True}
