"""What a rule's change, switch or a hand in its row means for runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from integrations_hub.domain.rule import Rule
from integrations_hub.errors import RuleInvalid, RunFailed, RunLost
from integrations_hub.store.rules import PostgresRuleStore
from tests.kit.fake_list import FakeList, project


def listing(count: int = 30) -> FakeList:
    return FakeList([project(n) for n in range(count)])


def save(one: Any, **options: Any) -> Rule:
    rule: Rule = PostgresRuleStore(one.database).save(
        connection_id=one.connection.id,
        object_key="projects",
        body={**one.rule.body, **options},
        actor="ada",
        request_id=None,
        expected_revision=None,
    )
    return rule


def test_a_row_edited_by_hand_never_runs(engine: Any) -> None:
    one = engine(listing())
    one.database.execute(
        "ALTER TABLE hub.integration_rule DROP CONSTRAINT integration_rule_body_check"
    )
    one.database.execute(
        """UPDATE hub.integration_rule SET body = body || '{"includeSubprojects": true}'"""
    )
    with pytest.raises(RuleInvalid, match="/includeSubprojects"):
        one.stages().plan(one.request())
    row = one.row("SELECT * FROM hub.integration_run")
    assert (row["state"], row["error_code"]) == ("failed", "RULE_INVALID")
    assert one.client.asked == []
    assert one.projects() == {}


def test_a_row_from_before_an_option_existed_runs_with_its_default(engine: Any) -> None:
    one = engine(listing())
    one.database.execute("UPDATE hub.integration_rule SET body = body - 'autoCreate' - 'syncMode'")
    assert one.run()["state"] == "succeeded"
    assert len(one.projects()) == 30


def test_a_run_keeps_its_revision_and_the_next_one_takes_the_new(engine: Any) -> None:
    one = engine(listing())
    one.client.before_page[2] = lambda: save(one, autoCreate=False)
    first = one.run()
    assert (first["state"], first["rule_revision"], first["created"]) == ("succeeded", 1, 30)
    one.client.add()
    second = one.run()
    assert (second["rule_revision"], second["created"], second["review"]) == (2, 0, 1)


def test_disabling_a_rule_stops_its_run_at_the_next_page(engine: Any) -> None:
    client, between, disabled = listing(), Event(), Event()

    def wait() -> None:
        between.set()
        assert disabled.wait(30)

    client.before_page[2] = wait
    one = engine(client)
    run_id = one.stages().plan(one.request())
    with ThreadPoolExecutor(1) as pool:
        stage = pool.submit(one.stages().fetch, run_id)
        assert between.wait(30)
        PostgresRuleStore(one.database).set_enabled(
            one.rule.id, False, actor="ada", request_id=None
        )
        disabled.set()
        with pytest.raises(RunLost):
            stage.result(30)
    with pytest.raises(RunFailed):
        one.stages().finish(run_id)
    row = one.row("SELECT * FROM hub.integration_run WHERE id = %(id)s", id=run_id)
    assert (row["state"], row["error_text"]) == ("cancelled", "The rule was disabled by ada.")
    assert one.projects() == {}


def test_a_new_generation_reads_everything_again(engine: Any) -> None:
    one = engine(listing())
    one.run()
    asked = len(one.client.asked)
    PostgresRuleStore(one.database).save(
        connection_id=one.connection.id,
        object_key="projects",
        body={**one.rule.body, "deletionPolicy": "ignore"},
        actor="ada",
        request_id=None,
        expected_revision=1,
        reread=True,
    )
    again = one.run()
    assert (again["state"], again["records"], again["unchanged"]) == ("succeeded", 30, 30)
    assert len(one.client.asked) > asked
    state = one.row("SELECT generation FROM hub.integration_state")
    assert state["generation"] == 2
    assert one.run()["plan"]["listing"] == "incremental"
