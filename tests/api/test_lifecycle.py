"""Off and on, disconnected and back, deleted: what stays, what goes, and who did it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations_hub.errors import ProviderUnreachable, TransientError
from tests.kit.bridge import API, BridgeKit

ONE = f"{API}/connections/acme"


def act(kit: BridgeKit, what: str) -> dict[str, Any]:
    answer = kit.call("POST", f"{ONE}/{what}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def count(kit: BridgeKit, table: str) -> int:
    return int(kit.database.rows(f"SELECT count(*) AS n FROM hub.{table}")[0]["n"])


def fill(kit: BridgeKit) -> None:
    """A synced project, a mark, a run that ended and one that waits."""
    kit.save_rule()
    kit.enable(nothing_to_match=True)
    kit.database.execute(
        """
        WITH run AS (
            INSERT INTO hub.integration_run (dag_id, dag_run_id, rule_id, connection_id, provider_key, object_key, state, ended_at)
            SELECT 'hub__bqe__acme__projects', 'r' || n, r.id, r.connection_id, 'bqe', 'projects',
                   CASE n WHEN 1 THEN 'succeeded' ELSE 'waiting' END, CASE n WHEN 1 THEN now() END
              FROM hub.integration_rule r, generate_series(1, 2) AS n RETURNING *
        ), project AS (INSERT INTO hub.projects (name) VALUES ('House') RETURNING id
        ), link AS (
            INSERT INTO hub.integration_external_link
                (provider_key, object_type, connection_id, external_id, local_entity, local_id, run_id, idempotency_key)
            SELECT 'bqe', 'projects', run.connection_id, 'x1', 'project', project.id, run.id, 'k'
              FROM run, project WHERE run.state = 'succeeded'
        ), waits AS (
            INSERT INTO hub.quarantine (connection_id, object_key, external_id, run_id, code, reason, pointer)
            SELECT connection_id, 'projects', 'x2', id, 'c', 'r', '/p' FROM run WHERE state = 'succeeded'
        ), setting AS (
            INSERT INTO hub.integration_setting (connection_id, object_key, schema_version, updated_by)
            SELECT connection_id, 'projects', '1.0', 'ada' FROM run WHERE state = 'succeeded'
        )
        INSERT INTO hub.integration_state (connection_id, object_key, mark)
        SELECT connection_id, 'projects', '2026-11-01' FROM run WHERE state = 'succeeded'
        """
    )  # fmt: skip


def lease(kit: BridgeKit, run_id: int) -> None:
    kit.database.execute(
        "INSERT INTO hub.integration_lease (key, run_id, fence, expires_at)"
        " VALUES ('bqe:acme:projects', %(run_id)s, 7, now() + interval '1 min')"
        " ON CONFLICT (key) DO UPDATE SET run_id = excluded.run_id, expires_at = excluded.expires_at",
        {"run_id": run_id},
    )


def test_disabled_and_enabled_each_once_in_the_audit(connected: BridgeKit) -> None:
    off = act(connected, "disable")
    assert (off["state"], off["next_action"], off["is_active"]) == ("disabled", "enable", True)
    assert off["since"]
    act(connected, "disable")
    assert act(connected, "enable")["state"] == "connected"
    act(connected, "enable")
    assert connected.audit()[-2:] == ["admin connection.disabled", "admin connection.enabled"]
    assert connected.airflow.log.count("reparse") == 4


def test_it_is_off_though_airflow_is_away(connected: BridgeKit) -> None:
    connected.airflow.error = TransientError("away")
    assert act(connected, "disable")["state"] == "disabled"


def test_disconnect_forgets_and_revokes(connected: BridgeKit) -> None:
    gone = act(connected, "disconnect")
    assert (gone["at_provider"], gone["warning"]) == ("revoked", None)
    assert (gone["connection"]["state"], gone["connection"]["next_action"]) == ("disconnected", "reconnect")  # fmt: skip
    assert connected.identity.revoked == ["refresh-canary-1"]
    assert count(connected, "encrypted_secret") == 0
    row = connected.database.rows("SELECT token_version FROM hub.integration_connection")[0]
    assert row["token_version"] == 2, "whoever holds the old version can't save over it"
    assert connected.audit()[-2:] == [
        "admin connection.disconnected",
        "admin connection.revoked_at_provider",
    ]
    assert act(connected, "disconnect")["at_provider"] == "nothing_to_revoke"
    assert len(connected.identity.revoked) == 1
    assert connected.audit()[-1] == "admin connection.revoked_at_provider"


def test_a_provider_that_is_away_does_not_keep_the_tokens_here(connected: BridgeKit) -> None:
    connected.identity.error = ProviderUnreachable("The identity server did not answer.")
    gone = act(connected, "disconnect")
    assert gone["at_provider"] == "failed"
    assert "by hand" in gone["warning"]
    assert count(connected, "encrypted_secret") == 0
    assert connected.audit()[-1] == "admin connection.revocation_failed"


def test_a_reconnect_keeps_id_links_mark_and_history(connected: BridgeKit) -> None:
    fill(connected)
    before = {
        name: connected.database.rows(f"SELECT * FROM hub.{name} ORDER BY 1")
        for name in (
            "integration_external_link",
            "integration_state",
            "integration_run",
            "projects",
        )
    }
    row = "SELECT id, company_id, token_version FROM hub.integration_connection"
    was = connected.database.rows(row)[0]
    act(connected, "disconnect")
    query, cookie = connected.start()
    assert connected.callback(query["state"], cookie).status_code == 200
    now = connected.database.rows(row)[0]
    assert (now["id"], now["company_id"]) == (was["id"], was["company_id"])
    assert now["token_version"] > was["token_version"]
    assert connected.call("GET", ONE).json()["state"] == "connected"
    for name, rows in before.items():
        assert connected.database.rows(f"SELECT * FROM hub.{name} ORDER BY 1") == rows


def test_a_sign_in_that_began_before_does_not_connect_again(connected: BridgeKit) -> None:
    query, cookie = connected.start()
    act(connected, "disconnect")
    assert connected.callback(query["state"], cookie).status_code == 400
    assert connected.call("GET", ONE).json()["state"] == "disconnected"


def test_what_a_deletion_loses_is_told_before_anything_is_lost(connected: BridgeKit) -> None:
    fill(connected)
    told = connected.call("GET", f"{ONE}/deletion").json()
    numbers = {
        name: told[name]
        for name in ("rules", "links", "marks", "mappings", "quarantined", "runs", "working_run")
    }
    assert numbers == {
        "rules": 1, "links": 1, "marks": 1, "mappings": 1, "quarantined": 1, "runs": 2, "working_run": None,
    }  # fmt: skip
    assert any("1 links" in line for line in told["lost"])
    assert any("2 runs" in line for line in told["kept"])
    assert count(connected, "integration_external_link") == 1


@pytest.mark.parametrize("query", ["", "?confirm=", "?confirm=ACME", "?confirm=other"])
def test_a_deletion_needs_its_key(connected: BridgeKit, query: str) -> None:
    answer = connected.call("DELETE", ONE + query)
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFIRMATION_NEEDED")
    assert connected.call("GET", ONE).status_code == 200


def test_a_deletion_keeps_local_rows_history_and_audit(connected: BridgeKit) -> None:
    fill(connected)
    answer = connected.call("DELETE", f"{ONE}?confirm=acme")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["deletion"]["links"], answer.json()["at_provider"]) == (1, "revoked")
    names = (
        "integration_external_link",
        "integration_state",
        "integration_setting",
        "quarantine",
        "encrypted_secret",
    )
    assert [name for name in names if count(connected, name)] == []
    assert (count(connected, "projects"), count(connected, "integration_run")) == (1, 2)
    runs = connected.database.rows("SELECT state, error_code FROM hub.integration_run ORDER BY id")
    assert [(r["state"], r["error_code"]) for r in runs] == [("succeeded", None), ("cancelled", "DISCONNECTED")]  # fmt: skip
    assert connected.call("GET", ONE).status_code == 404
    assert connected.call("GET", f"{API}/connections").json()["items"] == []
    assert connected.call("GET", f"{API}/jobs").json()["items"][0]["connection"] == "acme"
    assert connected.airflow.connections == {}
    assert connected.airflow.pools == {}
    order = connected.airflow.log
    assert order.index("fail-active hub__bqe__acme__projects") < order.index("forget hub_bqe_acme")
    entry = connected.database.rows(
        "SELECT detail FROM hub.audit_log WHERE action = 'connection.deleted'"
    )[0]["detail"]
    assert (entry["links"], entry["runs"]) == (1, 2)


def test_every_table_says_whether_its_rows_go_with_their_connection(connected: BridgeKit) -> None:
    """ON DELETE CASCADE: they go (hub.forget_connection). A table that somebody adds must decide."""
    tables = connected.database.rows(
        "SELECT conrelid::regclass::text AS name, confdeltype = 'c' AS goes FROM pg_constraint"
        " WHERE confrelid = 'hub.integration_connection'::regclass"
    )
    stay = {row["name"].rpartition(".")[2] for row in tables if not row["goes"]}
    # links, which their writers find by connection alone, are deleted by name
    assert stay - {"integration_external_link"} == {"integration_rule", "integration_run"}
    fill(connected)
    connected.call("DELETE", f"{ONE}?confirm=acme")
    left = [
        row["name"]
        for row in tables
        if row["goes"] and connected.database.rows(f"SELECT 1 FROM {row['name']}")
    ]
    assert left == []


def test_a_key_is_never_given_again(connected: BridgeKit) -> None:
    connected.call("DELETE", f"{ONE}?confirm=acme")
    body = {"key": "acme", "label": "Acme", "environment": "production"}
    answer = connected.call("POST", f"{API}/connections", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "CONNECTION_KEY_SPENT")
    connected.connect("acme_2")  # the same company may be connected again


def test_a_running_run_stands_against_a_deletion(connected: BridgeKit) -> None:
    fill(connected)
    lease(connected, 1)
    assert connected.call("GET", f"{ONE}/deletion").json()["working_run"] == 1
    answer = connected.call("DELETE", f"{ONE}?confirm=acme")
    assert (answer.status_code, answer.json()["code"]) == (423, "LEASE_HELD")
    assert count(connected, "integration_external_link") == 1
    assert "pause hub__bqe__acme__projects" not in connected.airflow.log


def test_a_run_that_begins_at_that_moment_wins_and_its_dag_goes_on(
    connected: BridgeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connected)
    monkeypatch.setattr(
        connected.airflow, "fail_active_runs", lambda dag_id: lease(connected, 1) or 0
    )
    answer = connected.call("DELETE", f"{ONE}?confirm=acme")
    assert answer.status_code == 423
    assert count(connected, "integration_external_link") == 1
    assert [line for line in connected.airflow.log if "pause" in line][-2:] == [
        "pause hub__bqe__acme__projects",
        "unpause hub__bqe__acme__projects",
    ]


def test_a_deletion_overtakes_whoever_still_holds_an_old_fence(connected: BridgeKit) -> None:
    fill(connected)
    lease(connected, 1)
    connected.database.execute(
        "UPDATE hub.integration_lease SET expires_at = now() - interval '1 s'"
    )
    assert connected.call("DELETE", f"{ONE}?confirm=acme").status_code == 200
    row = connected.database.rows("SELECT run_id, fence FROM hub.integration_lease")[0]
    assert (row["run_id"], row["fence"]) == (None, 8)


def test_a_consent_that_comes_back_late_does_not_raise_the_dead(connected: BridgeKit) -> None:
    """The code is exchanged while the connection is deleted: its tokens are not kept."""
    query, cookie = connected.start()
    exchange = connected.identity.exchange

    def late(**values: str) -> Any:
        assert connected.call("DELETE", f"{ONE}?confirm=acme").status_code == 200
        return exchange(**values)

    connected.identity.exchange = late  # type: ignore[method-assign]
    assert 400 <= connected.callback(query["state"], cookie).status_code < 500
    assert count(connected, "encrypted_secret") == 0
    row = connected.database.rows("SELECT is_active, deleted_at FROM hub.integration_connection")[0]
    assert (row["is_active"], row["deleted_at"] is None) == (False, False)


def test_no_answer_names_a_token(connected: BridgeKit) -> None:
    fill(connected)
    said = json.dumps([act(connected, "disable"), act(connected, "enable"), act(connected, "disconnect")])  # fmt: skip
    said += connected.call("DELETE", f"{ONE}?confirm=acme").text
    said += json.dumps(connected.database.rows("SELECT detail FROM hub.audit_log"))
    assert "canary" not in said
