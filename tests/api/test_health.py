"""Liveness says nothing; health says what is wrong."""

from __future__ import annotations

from integrations_hub.errors import TransientError
from integrations_hub.store.heartbeats import PostgresHeartbeatStore
from tests.kit.bridge import BridgeKit

HEALTH = "/api/integrations/health"


def test_liveness_needs_nothing(bridge: BridgeKit) -> None:
    bridge.environ["HUB_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/hub"
    answer = bridge.call("GET", "/healthz", headers={})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_all_well(bridge: BridgeKit) -> None:
    PostgresHeartbeatStore(bridge.database).beat("housekeeping", {"lost": 0})
    found = bridge.call("GET", HEALTH).json()
    assert found["status"] == "ok"
    assert found["housekeeping"]["detail"] == {"lost": 0}


def test_each_trouble_is_named(bridge: BridgeKit) -> None:
    assert bridge.call("GET", HEALTH).json()["housekeeping"] == {
        "ok": False,
        "age_s": None,
        "detail": {},
    }
    store = PostgresHeartbeatStore(bridge.database)
    store.beat("housekeeping", {})
    store.beat("dag_broken:7", {"error": "the zone is unknown"})
    found = bridge.call("GET", HEALTH).json()
    assert found["status"] == "degraded"
    assert [(one["rule_id"], one["error"]) for one in found["broken_rules"]] == [
        (7, "the zone is unknown")
    ]
    bridge.database.execute("UPDATE hub.heartbeat SET at = at - interval '1 hour'")
    assert bridge.call("GET", HEALTH).json()["housekeeping"]["ok"] is False


def test_airflow_is_judged_by_what_the_hub_needs(bridge: BridgeKit) -> None:
    bridge.airflow.parts["triggerer"] = {"status": None}
    assert bridge.call("GET", HEALTH).json()["airflow"]["ok"] is True
    bridge.airflow.parts["scheduler"] = {"status": "unhealthy"}
    assert bridge.call("GET", HEALTH).json()["airflow"]["ok"] is False
    bridge.airflow.error = TransientError("no answer")
    assert bridge.call("GET", HEALTH).json()["airflow"] == {
        "ok": False,
        "parts": {},
        "problem": "no answer",
    }


def test_a_database_away_is_an_answer_too(bridge: BridgeKit) -> None:
    bridge.environ["HUB_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/hub"
    found = bridge.call("GET", HEALTH).json()
    assert found["status"] == "degraded"
    assert "did not answer" in found["database"]
