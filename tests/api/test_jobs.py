"""Run now, the list of runs, one run, cancel."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from integrations_hub.errors import ConfigurationError, TransientError
from tests.kit.bridge import ADMIN, API, BridgeKit

RUN = f"{API}/projects/run"
DAG = "hub__bqe__acme__projects"


@pytest.fixture
def ready(connected: BridgeKit) -> BridgeKit:
    connected.save_rule()
    assert connected.enable().status_code == 200
    return connected


def test_run_now_makes_the_row_then_the_dag_run_named_after_it(ready: BridgeKit) -> None:
    answer = ready.call("POST", RUN, {"mode": "scheduled"})
    job = answer.json()
    assert (answer.status_code, job["state"], job["trigger"], job["requested_by"]) == (
        202,
        "requested",
        "manual",
        "admin",
    )
    assert ready.airflow.runs == {
        (DAG, f"hub__{job['id']}"): {"conf": {"mode": "scheduled", "dry_run": False}}
    }
    assert ready.audit()[-1] == "admin run.requested"
    detail = ready.call("GET", f"/api/jobs/{job['id']}").json()
    assert detail.pop("progress") == {
        "pages_done": 0, "pages_expected": None, "records": 0, "requests": 0, "eta_s": None,
        "requests_per_minute": 80,
    }  # fmt: skip
    assert detail == job


def test_a_window_is_asked_for_in_utc(ready: BridgeKit) -> None:
    body = {"mode": "window", "since": "2026-01-01T02:00:00+02:00", "until": "2026-01-02T00:00:00Z"}
    job = ready.call("POST", RUN, body).json()
    assert job["params"]["since"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "window"},
        {"mode": "full", "since": "2026-01-01T00:00:00Z"},
        {"mode": "window", "since": "2026-01-01T00:00:00"},
        {"mode": "window", "since": "2999-01-01T00:00:00Z"},
        {"mode": "window", "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"mode": "sideways"},
        {"mode": "full", "apply_run_id": 1},
        {"dry_run": True, "apply_run_id": 1},
        {"apply_run_id": 0},
        {"more": 1},
    ],
)
def test_a_request_that_does_not_fit_makes_no_run(ready: BridgeKit, body: dict[str, Any]) -> None:
    answer = ready.call("POST", RUN, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")
    assert ready.database.rows("SELECT 1 FROM hub.integration_run") == []


def test_the_same_key_gives_the_same_run_even_twenty_at_once(ready: BridgeKit) -> None:
    headers = {**ADMIN, "Idempotency-Key": "k-1"}
    answers = ready.calls(*[("POST", RUN, {}, headers, {})] * 20)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(ready.airflow.runs) == 1
    other = ready.call("POST", RUN, {"mode": "full"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert ready.call("POST", RUN, {}).json()["id"] != answers[0].json()["id"]


def test_a_run_that_airflow_refuses_is_closed_with_the_reason(ready: BridgeKit) -> None:
    ready.airflow.error = ConfigurationError("import errors", code="AIRFLOW_REFUSED")
    assert ready.call("POST", RUN, {}).status_code == 409
    ready.airflow.error = None
    job = ready.call("GET", f"{API}/jobs").json()["items"][0]
    assert (job["state"], job["error_code"]) == ("failed", "AIRFLOW_REFUSED")


def test_a_run_of_unknown_fate_stays_and_the_same_key_asks_again(ready: BridgeKit) -> None:
    headers = {**ADMIN, "Idempotency-Key": "k-2"}
    ready.airflow.error = TransientError("away")
    assert ready.call("POST", RUN, {}, headers=headers).status_code == 503
    ready.airflow.error = None
    job = ready.call("POST", RUN, {}, headers=headers).json()
    assert list(ready.airflow.runs) == [(DAG, f"hub__{job['id']}")]
    assert len(ready.call("GET", f"{API}/jobs").json()["items"]) == 1


def test_a_disabled_rule_runs_on_demand_and_dry_only(connected: BridgeKit) -> None:
    connected.save_rule()
    refused = connected.call("POST", RUN, {})
    assert (refused.status_code, refused.json()["code"]) == (409, "RULE_DISABLED")
    job = connected.call("POST", RUN, {"dry_run": True}).json()
    assert (job["dag_id"], job["trigger"]) == ("hub__on_demand", "on_demand")
    (run,) = connected.airflow.runs.values()
    assert run["conf"] == {
        "mode": "scheduled", "dry_run": True, "provider": "bqe", "connection": "acme", "object": "projects",
    }  # fmt: skip


def test_the_list_pages_by_key_and_filters(ready: BridgeKit) -> None:
    ids = [ready.call("POST", RUN, {}).json()["id"] for _ in range(5)]
    first = ready.call("GET", f"{API}/jobs?limit=2").json()
    second = ready.call("GET", f"{API}/jobs?limit=2&before={first['next_before']}").json()
    third = ready.call("GET", f"{API}/jobs?limit=2&before={second['next_before']}").json()
    seen = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert seen == ids[::-1]
    assert third["next_before"] is None
    assert ready.call("GET", f"{API}/jobs?status=failed").json()["items"] == []
    assert (
        len(ready.call("GET", f"{API}/jobs?object=projects&connection=acme").json()["items"]) == 5
    )
    assert ready.call("GET", f"{API}/jobs?object=people").json()["items"] == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "before=-1", "before=9223372036854775808", "status=odd"],
)
def test_a_page_that_cannot_be_is_refused(bridge: BridgeKit, query: str) -> None:
    assert bridge.call("GET", f"{API}/jobs?{query}").status_code == 422


@pytest.mark.parametrize(
    ("job_id", "status"),
    [("0", 422), ("-1", 422), ("9223372036854775808", 422), ("x", 422), ("7", 404)],
)
def test_a_run_that_cannot_be_is_refused(bridge: BridgeKit, job_id: str, status: int) -> None:
    assert bridge.call("GET", f"/api/jobs/{job_id}").status_code == status


def test_a_run_that_never_started_is_cancelled_at_once(ready: BridgeKit) -> None:
    job = ready.call("POST", RUN, {}).json()
    answer = ready.call("POST", f"/api/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"], answer.json()["error_code"]) == (
        200,
        "cancelled",
        "CANCELLED",
    )
    assert ready.airflow.log[-1] == f"fail {DAG} hub__{job['id']}"
    again = ready.call("POST", f"/api/jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "RUN_ENDED")
    assert ready.audit()[-1] == "admin run.cancelled"


def test_a_running_run_keeps_its_row_for_its_own_finish(ready: BridgeKit) -> None:
    job = ready.call("POST", RUN, {}).json()
    ready.database.execute("UPDATE hub.integration_run SET state = 'running'")
    answer = ready.call("POST", f"/api/jobs/{job['id']}/cancel").json()
    assert (answer["state"], answer["ended_at"], answer["error_code"]) == (
        "running",
        None,
        "CANCELLED",
    )
    assert ready.airflow.log[-1] == f"fail {DAG} hub__{job['id']}"


def test_switched_off_nothing_runs_but_everything_can_be_read(database_url: str) -> None:
    kit = BridgeKit(database_url, INTEGRATIONS_ENABLED="false", INTEGRATIONS_SECRET_KEY="")
    try:
        refused = kit.call("POST", RUN, {})
        assert (refused.status_code, refused.json()["code"]) == (503, "INTEGRATIONS_DISABLED")
        assert kit.call("GET", f"{API}/jobs").status_code == 200
    finally:
        kit.close()


def end(kit: BridgeKit, job_id: int, state: str) -> None:
    kit.database.execute(
        "UPDATE hub.integration_run SET state = %(state)s, ended_at = now() WHERE id = %(id)s",
        {"state": state, "id": job_id},
    )


@pytest.mark.parametrize("mode", ["resync", "sweep", "full"])
def test_every_mode_reaches_airflow(ready: BridgeKit, mode: str) -> None:
    job = ready.call("POST", RUN, {"mode": mode}).json()
    assert ready.airflow.runs[DAG, f"hub__{job['id']}"]["conf"]["mode"] == mode


def test_only_a_plan_of_this_rule_is_applied(ready: BridgeKit) -> None:
    planned = ready.call("POST", RUN, {"dry_run": True}).json()["id"]
    early = ready.call("POST", RUN, {"apply_run_id": planned})
    assert (early.status_code, early.json()["code"]) == (409, "PLAN_NOT_WAITING")
    assert ready.call("POST", RUN, {"apply_run_id": 999}).status_code == 404
    end(ready, planned, "planned")
    job = ready.call("POST", RUN, {"apply_run_id": planned}).json()
    assert ready.airflow.runs[DAG, f"hub__{job['id']}"]["conf"]["apply_run_id"] == planned


def test_a_retry_is_a_new_run_with_the_same_window_that_names_the_old_one(ready: BridgeKit) -> None:
    body = {"mode": "window", "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    old = ready.call("POST", RUN, body).json()
    path = f"/api/jobs/{old['id']}/retry"
    early = ready.call("POST", path)
    assert (early.status_code, early.json()["code"]) == (409, "RUN_NOT_ENDED")
    end(ready, old["id"], "failed")
    headers = {**ADMIN, "Idempotency-Key": "again"}
    answers = ready.calls(*[("POST", path, None, headers, {})] * 5)
    (new_id,) = {answer.json()["id"] for answer in answers}
    new = ready.call("GET", f"/api/jobs/{new_id}").json()
    assert new_id != old["id"]
    assert (new["retry_of"], new["params"]) == (old["id"], old["params"])
    assert ready.call("POST", "/api/jobs/999/retry").status_code == 404


def test_a_retry_of_a_backfills_run_asks_for_its_own_window_only(ready: BridgeKit) -> None:
    job = ready.call("POST", RUN, {}).json()
    ready.database.execute(
        "UPDATE hub.integration_run SET state = 'failed', ended_at = now(), params = "
        """'{"mode": "window", "since": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00:00+00:00", "x": 1}'"""
    )
    new = ready.call("POST", f"/api/jobs/{job['id']}/retry").json()
    assert new["params"] == {
        "mode": "window", "since": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00:00+00:00",
        "dry_run": False, "apply_run_id": None, "undo_run_id": None,
    }  # fmt: skip


def test_the_list_begins_where_it_is_asked_to(ready: BridgeKit) -> None:
    old = ready.call("POST", RUN, {}).json()["id"]
    ready.database.execute("UPDATE hub.integration_run SET created_at = now() - interval '2 days'")
    new = ready.call("POST", RUN, {}).json()["id"]
    yesterday = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    items = ready.call("GET", f"{API}/jobs?since={yesterday}").json()["items"]
    assert [item["id"] for item in items] == [new]
    assert old != new
    assert ready.call("GET", f"{API}/jobs?since=yesterday").status_code == 422


PLAN = {
    "columns": ["name", "client", "lead", "scope", "base"],
    "lines": [
        {"source": "name", "target": "name"},
        {"source": "client", "target": "client"},
        {"source": "manager", "target": "lead"},
    ],
}


def planned(kit: BridgeKit, count: int = 3) -> int:
    """A run that planned changes of name, client (personal data), scope (not mapped) and inner columns."""
    job_id = int(kit.call("POST", RUN, {"dry_run": True}).json()["id"])
    kit.database.execute(
        "UPDATE hub.integration_run SET plan = %(plan)s::jsonb, state = 'planned', ended_at = now() WHERE id = %(id)s",
        {"plan": json.dumps(PLAN), "id": job_id},
    )
    kit.database.execute(
        "INSERT INTO hub.sync_change (run_id, seq, external_id, local_id, action, before, after, reason)"
        " SELECT %(id)s, n, 'P' || n, n, CASE n WHEN 1 THEN 'create' ELSE 'update' END,"
        " CASE n WHEN 1 THEN NULL ELSE ARRAY['Old', 'pii-canary', 'lead', 'in_scope', 'x'] END,"
        " ARRAY['New', 'pii-canary-2', 'lead', 'out_of_scope', 'y'], 'why' FROM generate_series(1, %(count)s) AS n",
        {"id": job_id, "count": count},
    )
    kit.database.execute(
        "INSERT INTO hub.quarantine (connection_id, object_key, external_id, run_id, code, reason, pointer)"
        " SELECT id, 'projects', 'bad', %(id)s, 'BAD_DAY', 'startDate is not a day of the calendar', '/startDate'"
        " FROM hub.integration_connection",
        {"id": job_id},
    )
    return job_id


def test_the_plan_of_changes_pages_and_filters_field_by_field(ready: BridgeKit) -> None:
    path = f"/api/jobs/{planned(ready)}/changes"
    first = ready.call("GET", f"{path}?limit=2").json()
    assert first["next_after"] == 2
    assert first["items"][1] == {
        "seq": 2, "external_id": "P2", "local_id": 2, "action": "update", "reason": "why", "outcome": None,
        "fields": {
            "name": {"before": "Old", "after": "New"},
            "client": {"before": "pii-canary", "after": "pii-canary-2"},
            "scope": {"before": "in_scope", "after": "out_of_scope"},
        },
    }  # fmt: skip
    rest = ready.call("GET", f"{path}?after={first['next_after']}").json()
    assert ([one["seq"] for one in rest["items"]], rest["next_after"]) == ([3], None)
    created = ready.call("GET", f"{path}?action=create").json()["items"]
    assert [one["fields"]["name"] for one in created] == [{"before": None, "after": "New"}]
    assert ready.call("GET", f"{path}?action=odd").status_code == 422
    assert ready.call("GET", f"{path}?limit=501").status_code == 422
    assert ready.call("GET", "/api/jobs/999/changes").status_code == 404


def test_the_download_tells_every_outcome_and_no_personal_data(ready: BridgeKit) -> None:
    count = 2500  # more than two batches
    job_id = planned(ready, count)
    answer = ready.call("GET", f"/api/jobs/{job_id}/download")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert f"run-{job_id}.ndjson" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["kind"] for line in lines] == ["run", *["change"] * count, "reject"]
    assert (lines[0]["id"], lines[0]["state"]) == (job_id, "planned")
    assert [line["seq"] for line in lines[1:-1]] == list(range(1, count + 1))
    assert lines[2]["fields"] == {"name": {"before": "Old", "after": "New"}}
    assert lines[-1]["pointer"] == "/startDate"
    assert "pii-canary" not in answer.text
    assert ready.call("GET", "/api/jobs/999/download").status_code == 404
