"""What Airflow finds in the one Dag file, whatever the rules and the database do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integrations_hub.store.database import Database
from integrations_hub.store.housekeeping import HousekeepingStore
from tests.kit.airflow_env import DAG_FILE, REPOSITORY, hashes, parse, rule_row, write_snapshot

PERMANENT = {"hub__housekeeping", "hub__on_demand"}


def test_the_file_passes_airflows_safe_mode() -> None:
    text = DAG_FILE.read_text(encoding="utf-8").lower()
    assert text.startswith('"""airflow entry point')
    assert "dag" in text
    assert len(text.splitlines()) <= 60


def test_without_rules_only_the_permanent_dags_exist(state_dir: Path) -> None:
    write_snapshot(state_dir, [])
    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == PERMANENT


def test_each_enabled_rule_is_one_dag(state_dir: Path) -> None:
    write_snapshot(state_dir, [rule_row(n) for n in range(1, 4)])
    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == PERMANENT | {f"hub__bqe__acme_{n}__projects" for n in range(1, 4)}
    assert {dag.fileloc for dag in bag.dags.values()} == {str(DAG_FILE)}


@pytest.mark.parametrize(
    "broken",
    [
        {"body": {"schedule": {"every": {"minutes": 0}}}},
        {"body": {"schedule": {"cron": "61 * * * *"}}},
        {"body": {"schedule": {"cron": "0 6 * * *", "timezone": "Mars/Olympus"}}},
        {"body": {}},
        {"object_key": "bad id!"},
        {"provider_key": "no_such_provider"},
    ],
    ids=["interval 0", "bad cron", "bad zone", "no schedule", "bad dag id", "unknown provider"],
)
def test_one_broken_rule_leaves_the_others(state_dir: Path, broken: dict[str, Any]) -> None:
    write_snapshot(state_dir, [rule_row(1), rule_row(2, **broken), rule_row(3)])
    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == PERMANENT | {
        "hub__bqe__acme_1__projects",
        "hub__bqe__acme_3__projects",
    }


def test_a_task_process_builds_its_own_dag_only(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(state_dir, [rule_row(n) for n in range(1, 50)])
    for dag_id in ("hub__bqe__acme_7__projects", "hub__on_demand"):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        assert set(parse().dags) == {dag_id}


def test_switched_off_there_are_no_rule_dags(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(state_dir, [rule_row(1)])
    monkeypatch.setenv("INTEGRATIONS_ENABLED", "false")
    assert set(parse().dags) == PERMANENT


@pytest.mark.parametrize("content", [None, "", "{", '[{"id": 1}]', '{"a": 1}', "[1]"])
def test_an_unusable_snapshot_costs_the_rule_dags_only(
    state_dir: Path, content: str | None
) -> None:
    if content is not None:
        (state_dir / "rules_snapshot.json").write_text(content, encoding="utf-8")
    bag = parse()
    assert bag.import_errors == {}
    assert set(bag.dags) == PERMANENT


def test_a_thousand_rules_parse_and_keep_their_hashes(state_dir: Path) -> None:
    write_snapshot(state_dir, [rule_row(n) for n in range(1000)])
    first, second = parse(), parse()
    assert first.import_errors == {}
    assert len(first.dags) == 1002
    assert hashes(first.dags) == hashes(second.dags)


def test_hashes_are_the_same_in_every_process(state_dir: Path) -> None:
    write_snapshot(state_dir, [rule_row(n, hold_reason="resync_required") for n in range(5)])
    script = (
        "import json; from tests.kit import airflow_env as env; env.prepare();"
        "print(json.dumps(env.hashes(env.parse().dags), sort_keys=True))"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
            cwd=state_dir,
        ).stdout.splitlines()[-1]
        for seed in ("0", "1", "4711")
    ]
    assert len(set(answers)) == 1
    assert len(json.loads(answers[0])) == 7


def test_a_new_revision_or_hold_is_a_new_hash(state_dir: Path) -> None:
    seen = set()
    for changes in ({}, {"revision": 4}, {"hold_reason": "needs_reauth"}):
        write_snapshot(state_dir, [rule_row(1, **changes)])
        seen.add(hashes(parse().dags)["hub__bqe__acme_1__projects"])
    assert len(seen) == 3


# --- with the Hub's database ---------------------------------------------------------------------

_SAVE = """
WITH c AS (
    INSERT INTO hub.integration_connection (provider_key, key, label, environment)
    VALUES ('bqe', %(key)s, %(key)s, 'production') RETURNING id
)
INSERT INTO hub.integration_rule (connection_id, object_key, enabled, body, updated_by)
SELECT c.id, 'projects', %(enabled)s, %(body)s::jsonb, 'test' FROM c RETURNING id
"""


def save_rule(database: Database, key: str, *, minutes: int = 15, enabled: bool = True) -> int:
    body = json.dumps({"schedule": {"every": {"minutes": minutes}}})
    row = database.row(_SAVE, {"key": key, "enabled": enabled, "body": body})
    assert row is not None
    return int(row["id"])


@pytest.fixture
def live(state_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", database_url)
    return state_dir


def rule_dags() -> set[str]:
    bag = parse()
    assert bag.import_errors == {}
    return set(bag.dags) - PERMANENT


def test_rules_come_from_the_database_and_disabled_ones_have_no_dag(
    live: Path, database: Database
) -> None:
    assert rule_dags() == set()
    save_rule(database, "one")
    save_rule(database, "off", enabled=False)
    assert rule_dags() == {"hub__bqe__one__projects"}
    database.execute("UPDATE hub.integration_rule SET enabled = false")
    assert rule_dags() == set()


def test_with_the_database_away_the_last_good_rules_stay(
    live: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rule(database, "one")
    save_rule(database, "two")
    before = parse()
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", "postgresql://nobody@127.0.0.1:1/nothing")
    after = parse()
    assert after.import_errors == {}
    assert hashes(after.dags) == hashes(before.dags)
    assert (live / "rules_snapshot.json").stat().st_mode & 0o777 == 0o600


def test_a_database_without_tables_is_no_reason_to_lose_dags(
    live: Path, database: Database
) -> None:
    save_rule(database, "one")
    assert rule_dags() == {"hub__bqe__one__projects"}
    database.execute("ALTER TABLE hub.integration_rule RENAME TO elsewhere")
    assert rule_dags() == {"hub__bqe__one__projects"}


def test_a_broken_rule_is_visible_in_the_hubs_health_until_it_builds(
    live: Path, database: Database
) -> None:
    save_rule(database, "good")
    bad = save_rule(database, "bad", minutes=0)
    assert rule_dags() == {"hub__bqe__good__projects"}
    rows = database.rows("SELECT name, detail FROM hub.heartbeat")
    assert [row["name"] for row in rows] == [f"dag_broken:{bad}"]
    assert "0 minutes" in rows[0]["detail"]["error"]
    database.execute(
        'UPDATE hub.integration_rule SET body = \'{"schedule": {"every": {"minutes": 5}}}\''
    )
    assert len(rule_dags()) == 2
    assert database.rows("SELECT name FROM hub.heartbeat") == []


def test_a_task_process_reports_nothing(
    live: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    HousekeepingStore(database).report_broken({99: "broken elsewhere"})
    save_rule(database, "bad", minutes=0)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "hub__bqe__bad__projects")
    assert rule_dags() == set()
    rows = database.rows("SELECT name FROM hub.heartbeat")
    assert [row["name"] for row in rows] == ["dag_broken:99"]
