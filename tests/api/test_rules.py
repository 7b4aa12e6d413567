"""Rules: saved, enabled and disabled, each with its Dag in Airflow."""

from __future__ import annotations

from integrations_hub.errors import TransientError
from tests.kit.bridge import API, RULE, BridgeKit

DAG = "hub__bqe__acme__projects"


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
