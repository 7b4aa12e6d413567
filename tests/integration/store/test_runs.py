"""Runs outside a fence: one open run per Dag run, one run per idempotency key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import ConflictingChange, NotFound
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.rules import PostgresRuleStore
from integrations_hub.store.runs import PostgresRunStore
from tests.integration.store.test_rules import BODY, at_once


@pytest.fixture
def rule(database: Database) -> Rule:
    connection = PostgresConnectionStore(database).create(
        provider_key="acme",
        key="main",
        label="Main",
        environment="production",
        actor="ada",
        request_id=None,
    )
    return PostgresRuleStore(database).save(
        connection_id=connection.id, object_key="projects", body=BODY, actor="ada", request_id=None,
        expected_revision=None,
    )  # fmt: skip


def request_of(rule: Rule, **changes: Any) -> RunRequest:
    return replace(
        RunRequest(rule.dag_id, "scheduled__1", rule.id, "scheduled", params={"mode": "scheduled"}),
        **changes,
    )


def count(database: Database, condition: str = "true") -> int:
    return len(database.rows(f"SELECT 1 FROM hub.integration_run WHERE {condition}"))


def test_openers_at_once_share_one_run(database: Database, rule: Rule) -> None:
    runs = at_once(
        database, 10, lambda own: PostgresRunStore(own).adopt_or_open(request_of(rule), rule).id
    )
    assert len(set(runs)) == 1
    assert count(database) == 1


def test_an_opener_that_meets_another_halfway_takes_its_run(database: Database, rule: Rule) -> None:
    late, watcher = database.fork(), database.fork()
    with ThreadPoolExecutor(1) as pool, database.transaction() as tx:
        row = tx.execute(
            "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key)"
            " VALUES (%(dag_id)s, 'scheduled__1', %(connection_id)s, 'acme', 'projects') RETURNING id",
            {"dag_id": rule.dag_id, "connection_id": rule.connection_id},
        ).fetchone()
        assert row is not None
        opened = pool.submit(
            lambda: PostgresRunStore(late).adopt_or_open(request_of(rule), rule).id
        )
        while not watcher.rows(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            assert not opened.done()
    assert opened.result() == row["id"]
    late.close()
    watcher.close()


def test_a_cleared_task_of_an_ended_run_opens_a_new_one_that_names_it(
    database: Database, rule: Rule
) -> None:
    store = PostgresRunStore(database)
    first = store.adopt_or_open(request_of(rule), rule)
    store.close(first.id, "failed", code="X", text="t", hint="h")
    second = store.adopt_or_open(request_of(rule), rule)
    assert (second.retry_of, second.state) == (first.id, "requested")
    assert store.adopt_or_open(request_of(rule), rule).id == second.id
    assert first.retry_of is None


def test_a_requested_run_is_adopted_by_its_dag_run(database: Database, rule: Rule) -> None:
    store = PostgresRunStore(database)
    asked = store.request(request_of(rule, trigger="manual", dag_run_id=""), rule, actor="ada")
    assert asked.dag_run_id == f"hub__{asked.id}"
    adopted = store.adopt_or_open(
        request_of(rule, dag_run_id=asked.dag_run_id, trigger="manual"), rule
    )
    assert (adopted.id, adopted.requested_by, adopted.trigger) == (asked.id, "ada", "manual")
    (entry,) = database.rows(
        "SELECT actor, target FROM hub.audit_log WHERE action = 'run.requested'"
    )
    assert (entry["actor"], entry["target"]) == ("ada", f"run:{asked.id}")


def test_askers_at_once_with_one_key_share_one_run(database: Database, rule: Rule) -> None:
    request = request_of(rule, trigger="manual")
    runs = at_once(
        database,
        10,
        lambda own: (
            PostgresRunStore(own).request(request, rule, actor="ada", idempotency_key="k").id
        ),
    )
    assert len(set(runs)) == 1
    assert len(database.rows("SELECT 1 FROM hub.audit_log WHERE action = 'run.requested'")) == 1
    store = PostgresRunStore(database)
    assert store.request(request, rule, actor="bob", idempotency_key="k").id not in runs
    assert store.request(request, rule, actor="ada").id not in runs
    with pytest.raises(ConflictingChange):
        store.request(
            replace(request, params={"mode": "full"}), rule, actor="ada", idempotency_key="k"
        )


def test_an_ended_run_keeps_its_outcome(database: Database, rule: Rule) -> None:
    store = PostgresRunStore(database)
    run = store.adopt_or_open(request_of(rule), rule)
    store.waiting(run.id, "Waiting: run 1 holds it.")
    assert store.get(run.id).state == "waiting"
    store.close(run.id, "skipped", code="LEASE_HELD", text="t", hint="h")
    store.close(run.id, "lost", code="RUN_LOST", text="t", hint="h")
    store.waiting(run.id, "again")
    assert store.cancel(run.id, actor="ada", request_id=None).state == "skipped"
    ended = store.get(run.id)
    assert (ended.state, ended.error_code, ended.ended) == ("skipped", "LEASE_HELD", True)
    assert database.rows("SELECT 1 FROM hub.audit_log WHERE action = 'run.cancelled'") == []


def test_cancel_ends_what_never_started_and_leaves_a_reason_on_what_runs(
    database: Database, rule: Rule
) -> None:
    store = PostgresRunStore(database)
    idle = store.request(request_of(rule), rule, actor="ada")
    assert store.cancel(idle.id, actor="bob", request_id=None).state == "cancelled"
    busy = store.request(request_of(rule), rule, actor="ada")
    database.execute(
        "UPDATE hub.integration_run SET state = 'running' WHERE id = %(id)s", {"id": busy.id}
    )
    noted = store.cancel(busy.id, actor="bob", request_id=None)
    assert (noted.state, noted.ended_at, noted.error_code, noted.error_text) == (
        "running", None, "CANCELLED", "Cancelled by bob.",
    )  # fmt: skip
    with pytest.raises(NotFound):
        store.cancel(999, actor="bob", request_id=None)


def test_opening_finds_earlier_runs_by_index(database: Database, rule: Rule) -> None:
    """With a long history a look through every run would slow down each plan."""
    database.execute(
        "INSERT INTO hub.integration_run (dag_id, dag_run_id, connection_id, provider_key, object_key, ended_at)"
        " SELECT 'd', 'r' || n, %(id)s, 'acme', 'projects', now() FROM generate_series(1, 20000) AS n",
        {"id": rule.connection_id},
    )
    database.execute("ANALYZE hub.integration_run")
    plan = database.rows(
        "EXPLAIN SELECT max(id) FROM hub.integration_run WHERE dag_id = 'd' AND dag_run_id = 'r77'"
    )
    assert "Seq Scan" not in str(plan)
