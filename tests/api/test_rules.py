"""Rules: saved, enabled and disabled, each with its Dag in Airflow."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import httpx
import pytest

from integrations_hub.domain.rule import Schedule
from integrations_hub.domain.schedule import next_run_after
from integrations_hub.errors import TransientError
from tests.kit.bridge import ADMIN, API, RULE, BridgeKit

DAG = "hub__bqe__acme__projects"
PUT = f"{API}/projects/rule"
FROM_NOW = {"initialSyncMode": "delta_only_from_now"}


def has_read(kit: BridgeKit, mark: str = "2026-03-01") -> None:
    """As if a first run had read 1,234 records with 5 requests."""
    kit.database.execute(
        "INSERT INTO hub.integration_state (connection_id, object_key, mark)"
        f" SELECT id, 'projects', '{mark}' FROM hub.integration_connection"
    )
    kit.database.execute(
        "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, plan, witness,"
        " records, requests, state, ended_at) SELECT 'd', 'r', id, 'bqe', 'projects', '{\"listing\": \"full\"}', '{}',"
        " 1234, 5, 'succeeded', now() FROM hub.integration_connection"
    )


def state(kit: BridgeKit) -> dict[str, Any]:
    (row,) = kit.database.rows("SELECT * FROM hub.integration_state")
    return row


def put(kit: BridgeKit, query: str = "", **options: Any) -> httpx.Response:
    return kit.call("PUT", f"{PUT}{query}", {**RULE, **options})


def test_a_rule_is_saved_with_its_defaults_and_history(connected: BridgeKit) -> None:
    first = connected.save_rule()
    second = connected.save_rule(dryRun=True)
    assert (first["revision"], second["revision"]) == (1, 2)
    assert first["body"]["clientSyncPolicy"] == "preserve_local"
    assert first["scheduled"] is None
    kept = connected.database.rows(
        "SELECT revision, body FROM hub.integration_rule_revision ORDER BY 1"
    )
    assert [row["body"]["dryRun"] for row in kept] == [False, True]
    assert connected.audit()[-2:] == ["admin rule.saved", "admin rule.saved"]


def test_a_bad_rule_is_refused_with_every_problem_and_nothing_is_kept(connected: BridgeKit) -> None:
    answer = connected.call(
        "PUT",
        f"{API}/projects/rule",
        {"schedule": {"every": {"minutes": 0}}, "includeSubprojects": True, "x": 1},
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "RULE_INVALID"
    pointers = {item["pointer"] for item in answer.json()["problems"]}
    assert {"/schedule/every/minutes", "/includeSubprojects", "/x"} <= pointers
    assert connected.database.rows("SELECT 1 FROM hub.integration_rule") == []


def test_a_text_that_no_database_keeps_is_refused(connected: BridgeKit) -> None:
    for text in ("a\x00b", "\ud800"):
        raw = (
            '{"schedule": {"cron": "'
            + text.encode("unicode_escape").decode().replace("\\x00", "\\u0000")
            + '"}}'
        )
        answer = connected.call(
            "PUT",
            f"{API}/projects/rule",
            content=raw,
            headers={"Authorization": "Bearer admin", "Content-Type": "application/json"},
        )
        assert answer.status_code == 422, text.encode("unicode_escape")


def test_a_change_from_an_old_revision_is_refused(connected: BridgeKit) -> None:
    connected.save_rule()
    path, headers = f"{API}/projects/rule", {"Authorization": "Bearer admin"}
    etag = connected.call("GET", path).headers["etag"]
    good = connected.call("PUT", path, RULE, headers={**headers, "If-Match": etag})
    stale = connected.call("PUT", path, RULE, headers={**headers, "If-Match": etag})
    second_first = connected.call("PUT", path, RULE, headers={**headers, "If-None-Match": "*"})
    assert (good.status_code, stale.status_code, second_first.status_code) == (200, 409, 409)
    assert stale.json()["code"] == "REVISION_CONFLICT"
    assert good.headers["etag"] == '"2"'


def test_enabling_makes_pool_and_connection_before_the_dag(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.airflow.log.clear()
    answer = connected.enable(nothing_to_match=True)
    assert answer.json()["enabled"] is True
    assert answer.json()["scheduled"] is True
    assert connected.airflow.log == [
        "pool hub_bqe_acme",
        "connection hub_bqe_acme",
        "reparse",
        f"wait {DAG} rev:1",
        f"unpause {DAG}",
    ]
    assert connected.airflow.pools == {"hub_bqe_acme": 2}


def test_a_dag_that_does_not_show_is_told_and_the_rule_stays_enabled(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.airflow.visible = False
    assert connected.enable().json()["scheduled"] is False
    assert connected.call("GET", f"{API}/projects/rule").json()["enabled"] is True


def test_nothing_is_enabled_while_airflow_is_away(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.airflow.error = TransientError("away", retry_after_s=7)
    answer = connected.enable()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert connected.call("GET", f"{API}/projects/rule").json()["enabled"] is False


def test_saving_an_enabled_rule_waits_for_its_revision_and_leaves_a_pause_alone(
    connected: BridgeKit,
) -> None:
    connected.save_rule()
    connected.enable()
    connected.airflow.log.clear()
    assert connected.save_rule(dryRun=True)["scheduled"] is True
    assert connected.airflow.log == ["reparse", f"wait {DAG} rev:2"]


def test_disabling_pauses_and_ends_runs_before_it_switches(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.enable()
    connected.airflow.log.clear()
    for _ in range(2):
        answer = connected.call("POST", f"{API}/projects/rule/disable")
        assert (answer.status_code, answer.json()["enabled"]) == (200, False)
    assert connected.airflow.log[:3] == [f"pause {DAG}", f"fail-active {DAG}", "reparse"]
    assert [line for line in connected.audit() if "rule.disabled" in line] == [
        "admin rule.disabled"
    ]


def test_a_rule_is_not_disabled_while_airflow_cannot_pause_it(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.enable()
    connected.airflow.error = TransientError("away")
    assert connected.call("POST", f"{API}/projects/rule/disable").status_code == 503
    assert connected.call("GET", f"{API}/projects/rule").json()["enabled"] is True


def test_matching_comes_first_while_local_projects_were_never_matched(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.database.execute("INSERT INTO hub.projects (name) VALUES ('Old house')")
    refused = connected.enable()
    assert (refused.status_code, refused.json()["code"]) == (409, "MATCHING_FIRST")
    assert connected.enable(nothing_to_match=True).json()["enabled"] is True


def test_several_active_connections_need_a_name(connected: BridgeKit) -> None:
    connected.identity.grant = connected.identity.grant.__class__(
        **{**vars(connected.identity.grant), "company_id": "company-b"}
    )
    connected.connect("beta")
    answer = connected.call("GET", f"{API}/projects/rule")
    assert (answer.status_code, answer.json()["code"]) == (422, "CONNECTION_AMBIGUOUS")
    assert "acme, beta" in answer.json()["message"]


def test_what_is_unknown_is_not_found(connected: BridgeKit) -> None:
    for path in (
        "/api/integrations/nobody/projects/rule",
        f"{API}/planets/rule",
        f"{API}/projects/rule?connection=nobody",
        f"{API}/projects/rule",
    ):
        answer = connected.call("GET", path)
        assert answer.status_code == 404, path
        assert answer.json()["hint"]


def test_a_conflict_tells_what_is_different_now(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.save_rule(dryRun=True)
    answer = connected.call(
        "PUT", PUT, {**RULE, "autoCreate": False}, headers={**ADMIN, "If-Match": '"1"'}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "REVISION_CONFLICT")
    assert answer.json()["detail"] == {
        "current_revision": 2,
        "diff": [
            {"pointer": "/autoCreate", "before": True, "after": False},
            {"pointer": "/dryRun", "before": True, "after": False},
        ],
    }
    assert [line for line in connected.audit() if "rule.saved" in line] == ["admin rule.saved"] * 2


def test_two_admins_at_once_save_one_revision(connected: BridgeKit) -> None:
    connected.save_rule()
    headers = {**ADMIN, "If-Match": '"1"'}
    answers = connected.calls(
        *[("PUT", PUT, {**RULE, "dryRun": flag}, headers, {}) for flag in (True, False)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(connected.database.rows("SELECT 1 FROM hub.integration_rule_revision")) == 2


def test_before_anything_was_read_no_change_asks(connected: BridgeKit) -> None:
    connected.save_rule()
    saved = connected.save_rule(deletionPolicy="soft_delete")
    assert (saved["revision"], saved["generation"]) == (2, 1)


def test_a_change_of_behaviour_asks_with_a_forecast_and_keeps_nothing(connected: BridgeKit) -> None:
    connected.save_rule()
    has_read(connected)
    answer = put(connected, deletionPolicy="soft_delete")
    assert (answer.status_code, answer.json()["code"]) == (409, "REREAD_DECISION")
    detail = answer.json()["detail"]
    assert [reason["pointer"] for reason in detail["reasons"]] == ["/deletionPolicy"]
    assert detail["forecast"] == {"records": 1234, "requests": 5, "minutes": 0.1}
    assert connected.call("GET", PUT).json()["revision"] == 1


def test_a_run_under_way_counts_as_read(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.database.execute(
        "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, state)"
        " SELECT 'd', 'r', id, 'bqe', 'projects', 'running' FROM hub.integration_connection"
    )
    answer = put(connected, autoCreate=False, syncMode="full")
    assert answer.json()["code"] == "REREAD_DECISION"
    assert answer.json()["detail"]["forecast"] == {
        "records": None,
        "requests": None,
        "minutes": None,
    }


@pytest.mark.parametrize(("choice", "generation"), [("true", 2), ("false", 1)])
def test_the_decision_is_recorded_and_only_yes_begins_a_generation(
    connected: BridgeKit, choice: str, generation: int
) -> None:
    connected.save_rule()
    has_read(connected)
    saved = put(connected, f"?reread={choice}", deletionPolicy="soft_delete").json()
    assert (saved["revision"], saved["generation"]) == (2, generation)
    kept = connected.call("GET", f"{PUT}/revisions/2").json()
    assert (kept["reread"], kept["generation"]) == (choice == "true", generation)
    (entry,) = connected.database.rows(
        "SELECT detail FROM hub.audit_log WHERE action = 'rule.saved' ORDER BY seq DESC LIMIT 1"
    )
    assert entry["detail"]["reread"] is (choice == "true")
    assert state(connected)["mark"] == datetime(2026, 3, 1)


def test_a_decision_that_nothing_asks_for_changes_nothing(connected: BridgeKit) -> None:
    connected.save_rule()
    has_read(connected)
    saved = put(connected, "?reread=true", dryRun=True).json()
    assert (saved["revision"], saved["generation"]) == (2, 1)
    assert connected.call("GET", f"{PUT}/revisions/2").json()["reread"] is None


def test_history_tells_what_each_save_changed_and_an_old_body_can_be_saved_again(
    connected: BridgeKit,
) -> None:
    connected.save_rule()
    for minutes in (5, 10):
        connected.save_rule(schedule={"every": {"minutes": minutes}})
    page = connected.call("GET", f"{PUT}/revisions?limit=2").json()
    assert [one["revision"] for one in page["items"]] == [3, 2]
    assert page["items"][0]["diff"] == [
        {"pointer": "/schedule/every/minutes", "before": 5, "after": 10}
    ]
    rest = connected.call("GET", f"{PUT}/revisions?before={page['next_before']}").json()
    assert [(one["revision"], one["diff"]) for one in rest["items"]] == [(1, [])]
    assert rest["next_before"] is None
    first = connected.call("GET", f"{PUT}/revisions/1").json()
    again = connected.call("PUT", PUT, first["body"]).json()
    assert (again["revision"], again["body"]) == (4, first["body"])
    missing = connected.call("GET", f"{PUT}/revisions/9")
    assert (missing.status_code, missing.json()["code"]) == (404, "REVISION_UNKNOWN")


def test_an_old_body_is_shown_with_todays_options(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.database.execute(
        "UPDATE hub.integration_rule SET body = body - 'guard' - 'conflictPolicy'"
    )
    body = connected.call("GET", PUT).json()["body"]
    assert (body["conflictPolicy"], body["guard"]["maxInactivatedRows"]) == ("review", 10)


def test_the_next_runs_are_the_schedules_own(connected: BridgeKit) -> None:
    connected.save_rule()
    off = connected.call("GET", f"{PUT}/next").json()
    assert (off["enabled"], off["runs"], off["airflow_next"]) == (False, [], None)
    connected.enable()
    noted = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=3)
    connected.airflow.next_at = noted
    found = connected.call("GET", f"{PUT}/next?count=3").json()
    runs = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in found["runs"]]
    assert len(runs) == 3
    for before, after in pairwise(runs):
        assert next_run_after(Schedule(15, None), DAG, before) == after
    assert datetime.fromisoformat(found["airflow_next"].replace("Z", "+00:00")) == noted
    connected.airflow.error = TransientError("away")
    assert connected.call("GET", f"{PUT}/next").json()["airflow_next"] is None
    assert connected.call("GET", f"{PUT}/next?count=51").status_code == 422


def test_a_rule_that_reads_from_now_on_has_its_now_at_its_first_switch(
    connected: BridgeKit,
) -> None:
    connected.save_rule(**FROM_NOW)
    assert connected.database.rows("SELECT 1 FROM hub.integration_state") == []
    before = datetime.now(timezone.utc).replace(tzinfo=None)
    connected.enable()
    seeded = state(connected)
    assert before <= seeded["mark"] <= datetime.now(timezone.utc).replace(tzinfo=None)
    assert seeded["seed"] == seeded["mark"]
    connected.call("POST", f"{PUT}/disable")
    connected.enable()
    assert state(connected)["mark"] == seeded["mark"]


def test_reading_again_begins_where_the_rule_began(connected: BridgeKit) -> None:
    connected.save_rule(**FROM_NOW)
    connected.enable()
    seed = state(connected)["seed"]
    connected.database.execute("UPDATE hub.integration_state SET mark = mark + interval '1 day'")
    saved = put(connected, "?reread=true", **FROM_NOW, deletionPolicy="ignore").json()
    now = state(connected)
    assert (saved["generation"], now["generation"], now["mark"]) == (2, 2, seed)


def test_a_resync_holds_the_schedule_and_the_rule_says_so(connected: BridgeKit) -> None:
    connected.save_rule()
    connected.enable()
    has_read(connected)
    connected.database.execute("UPDATE hub.integration_state SET resync_required = true")
    assert connected.call("GET", PUT).json()["hold_reason"] == "resync_required"
    assert connected.call("GET", f"{PUT}/next").json()["hold_reason"] == "resync_required"
