"""Answers to plans of changes over HTTP: one run each, and why a plan can't be applied any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.bridge import VIEWER, BridgeKit
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio


@pytest.fixture
def hub(bridge: BridgeKit, database_url: str) -> Any:
    """An engine on the bridge's database whose Dag Airflow knows."""
    engine = Engine(database_url, FakeList(portfolio(4)))
    bridge.airflow.dags[engine.rule.dag_id] = set()
    # the engine's stand-in for a token is sealed with no key of the ring
    engine.database.execute("DELETE FROM hub.encrypted_secret")
    yield engine
    engine.close()


@pytest.mark.parametrize("what", ["approve", "undo"])
def test_only_admins_answer(bridge: BridgeKit, hub: Engine, what: str) -> None:
    path = f"/api/jobs/{hub.run(dry_run=True)['id']}/{what}"
    assert bridge.call("POST", path, {}, headers={"X-Hub-CSRF": "1"}).status_code == 401
    assert bridge.call("POST", path, {}, headers=VIEWER).status_code == 403
    assert bridge.call("POST", path, {"surprise": 1}).status_code == 422
    assert bridge.call("POST", f"/api/jobs/999/{what}", {}).status_code == 404


def test_an_approval_starts_one_run_with_the_chosen_rows(bridge: BridgeKit, hub: Engine) -> None:
    plan = hub.run(dry_run=True)
    path = f"/api/jobs/{plan['id']}/approve"
    assert bridge.call("POST", path, {"changes": [99]}).json()["code"] == "CHANGE_UNKNOWN"
    first = bridge.call("POST", path, {"changes": [1, 2]})
    assert first.status_code == 202
    assert first.json()["params"]["apply_run_id"] == plan["id"]
    again = bridge.call("POST", path, {"changes": [2, 1]})
    assert again.json()["id"] == first.json()["id"]
    other = bridge.call("POST", path, {})
    assert (other.status_code, other.json()["code"]) == (409, "PLAN_ANSWERED")
    run_id = hub.stages().plan(hub.adopted(first.json()))
    done = hub.finish_from(run_id, 0)
    assert (done["id"], done["created"]) == (first.json()["id"], 2)


def test_a_plan_that_a_newer_one_replaced_is_refused_in_words(
    bridge: BridgeKit, hub: Engine
) -> None:
    old, new = hub.run(dry_run=True), hub.run(dry_run=True)
    answer = bridge.call("POST", f"/api/jobs/{old['id']}/approve", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_UNUSABLE")
    assert f"run {new['id']} made a newer plan" in answer.json()["message"]


def test_an_undo_is_a_run_and_may_be_a_plan_first(bridge: BridgeKit, hub: Engine) -> None:
    run = hub.run()
    path = f"/api/jobs/{run['id']}/undo"
    dry = bridge.call("POST", path, {"dry_run": True})
    assert dry.status_code == 202
    assert (dry.json()["params"]["undo_run_id"], dry.json()["params"]["dry_run"]) == (
        run["id"],
        True,
    )
    wet = bridge.call("POST", path, {})
    assert wet.json()["id"] != dry.json()["id"]
    assert bridge.call("POST", path, {}).json()["id"] == wet.json()["id"]
    nothing = hub.run()
    refused = bridge.call("POST", f"/api/jobs/{nothing['id']}/undo", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "PLAN_UNUSABLE")
