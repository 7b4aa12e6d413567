"""The audit log over the bridge: who did what, found again, and never a secret in it."""

from __future__ import annotations

import json

import pytest

from integrations_hub.errors import GrantRejected
from integrations_hub.store.audit import PostgresAuditStore
from tests.kit.bridge import ADMIN, API, VIEWER, BridgeKit

AUDIT = "/api/integrations/audit"


def entries(bridge: BridgeKit, n: int) -> None:
    for i in range(n):
        PostgresAuditStore(bridge.database).add(
            actor=("ada", "bob")[i % 2],
            action="rule.saved",
            target=f"rule:{i}",
            detail={"n": i},
            request_id=f"r{i}",
        )


def test_it_is_for_admins(bridge: BridgeKit) -> None:
    for path in (AUDIT, f"{AUDIT}/verify"):
        answers = [bridge.call("GET", path, headers=who) for who in ({}, VIEWER, ADMIN)]
        assert [answer.status_code for answer in answers] == [401, 403, 200]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "before=0", "before=x", "action=A%20B", "actor=" + "x" * 201],
)
def test_a_bad_question_is_told_where(bridge: BridgeKit, query: str) -> None:
    assert bridge.call("GET", f"{AUDIT}?{query}").status_code == 422


@pytest.mark.parametrize("noted", ["1", "x:y", "1:" + "A" * 64, "1:" + "a" * 63])
def test_a_noted_head_has_one_form(bridge: BridgeKit, noted: str) -> None:
    assert bridge.call("GET", f"{AUDIT}/verify?noted={noted}").status_code == 422


def test_pages_are_newest_first_and_meet_without_gap_while_others_write(bridge: BridgeKit) -> None:
    entries(bridge, 7)
    seen, before = [], ""
    while True:
        page = bridge.call("GET", f"{AUDIT}?limit=3{before}").json()
        seen += [item["seq"] for item in page["items"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
        entries(bridge, 1)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_filters_are_exact(bridge: BridgeKit) -> None:
    entries(bridge, 6)

    def found(query: str) -> list[int]:
        return [item["seq"] for item in bridge.call("GET", f"{AUDIT}?{query}").json()["items"]]

    assert found("actor=bob") == [6, 4, 2]
    assert found("target=rule:2") == [3]
    assert found("action=rule.saved&actor=ada") == [5, 3, 1]
    assert found("action=rule.save") == []


def test_tampering_turns_the_check_red(bridge: BridgeKit) -> None:
    entries(bridge, 3)
    sound = bridge.call("GET", f"{AUDIT}/verify").json()
    head = sound["head"]
    assert (sound["sound"], sound["entries"], head["seq"], sound["problems"]) == (True, 3, 3, [])
    with bridge.database.transaction() as tx:
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute("UPDATE hub.audit_log SET actor = 'eve' WHERE seq = 2")
    found = bridge.call("GET", f"{AUDIT}/verify").json()
    assert (found["sound"], [p["kind"] for p in found["problems"]]) == (False, ["edited"])
    other = bridge.call("GET", f"{AUDIT}/verify?noted=2:{'0' * 64}").json()
    assert [p["kind"] for p in other["problems"]] == ["edited", "rewritten"]


def test_the_actor_is_who_signed_in_whatever_the_request_says(bridge: BridgeKit) -> None:
    headers = {**ADMIN, "X-Forwarded-User": "eve", "X-Request-ID": "request-1"}
    body = {"key": "x", "label": "X", "environment": "production"}
    assert bridge.call("POST", f"{API}/connections", {**body, "actor": "eve"}).status_code == 422
    assert bridge.call("POST", f"{API}/connections", body, headers=headers).status_code == 201
    (entry,) = bridge.call("GET", AUDIT).json()["items"]
    assert (entry["actor"], entry["action"]) == ("admin", "connection.created")


def test_what_admins_do_leaves_no_secret(bridge: BridgeKit) -> None:
    """The kit scans the log of every other API test, too, when it closes."""
    bridge.connect()
    query, cookie = bridge.start()
    bridge.callback(query["state"], cookie, error="access_denied")
    query, cookie = bridge.start()
    bridge.identity.error = GrantRejected("refused")
    bridge.callback(query["state"], cookie)
    query, cookie = bridge.start()
    bridge.callback(query["state"], "hub_oauth=forged")
    bridge.save_rule()
    bridge.enable()
    bridge.call("POST", f"{API}/projects/run", {"dry_run": True})
    bridge.call("POST", f"{API}/projects/rule/disable")
    page = bridge.call("GET", f"{AUDIT}?limit=200").json()["items"]
    assert {item["action"] for item in page} >= {
        "connection.created",
        "connection.connect_started",
        "connection.connected",
        "connection.connect_failed",
        "connection.callback_refused",
        "rule.saved",
        "rule.enabled",
        "run.requested",
        "rule.disabled",
    }
    bridge.refuse_secrets_in_the_audit(json.dumps(page))
    with pytest.raises(AssertionError):
        bridge.refuse_secrets_in_the_audit(json.dumps({"detail": {"state": query["state"]}}))
