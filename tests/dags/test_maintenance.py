"""Maintenance in Airflow's processes: Dags skip, runs under way wait, and only what D20 lists is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from integrations_hub.admin import maintenance
from integrations_hub.errors import MaintenanceMode, RunMustWait
from integrations_hub.orchestration import hub_database
from integrations_hub.orchestration.housekeeping import HousekeepingTask
from integrations_hub.orchestration.rule_source import RuleSource
from integrations_hub.orchestration.tasks import translate
from integrations_hub.store.database import Database
from tests.api.test_access import concrete, routes
from tests.kit import engine as engine_kit
from tests.kit.bridge import API, RULE, BridgeKit
from tests.kit.engine import STAGES, Engine, truth
from tests.kit.fake_list import FakeList, portfolio
from tests.kit.witness import witness, written

# D20, with the auth columns spelled out; the head is the last line of the audit log
_LISTED = {"oauth_flow", "encrypted_secret", "audit_log", "audit_head", "integration_connection"}
_AUTH_COLUMNS = {
    "token_version", "token_expires_at", "api_base_url", "company_id", "connected_by", "is_active",
    "refresh_claim", "refresh_claim_until", "auth_state", "degraded_since", "last_ok_at",
    "needs_reauth", "reauth_reason", "rejected_version", "updated_at",
}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUB_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", database_url)
    monkeypatch.setenv("INTEGRATIONS_ENABLED", "true")
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", raising=False)
    monkeypatch.setattr(hub_database, "task_database", lambda: Database.from_url(database_url))
    return tmp_path


@pytest.fixture
def hub(
    state: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Engine, FakeList]]:
    """The engine reads HUB_STATE_DIR as a task does."""
    listed = FakeList(portfolio(40))
    made = Engine(database_url, listed)
    kit_stages = engine_kit.sync_wiring.stages

    def stages(**settings: Any) -> Any:
        settings["environ"] = {**settings["environ"], "HUB_STATE_DIR": str(state)}
        return kit_stages(**settings)

    monkeypatch.setattr(engine_kit, "sync_wiring", SimpleNamespace(stages=stages))
    yield made, listed
    made.close()


def test_a_run_that_would_begin_is_skipped_with_the_reason_and_leaves_no_row(
    hub: tuple[Engine, FakeList], state: Path
) -> None:
    engine, _ = hub
    maintenance.switch_on(state, "restore")
    with pytest.raises(MaintenanceMode, match="restore") as refused:
        engine.stages().plan(engine.request())
    with pytest.raises(AirflowSkipException, match="MAINTENANCE"):
        translate(refused.value, "plan")
    assert engine.rows("SELECT id FROM hub.integration_run") == []
    maintenance.switch_off(state)
    assert engine.run()["state"] == "succeeded"


@pytest.mark.parametrize("stage", [*STAGES, "finish"])
def test_a_run_under_way_waits_before_any_stage_and_ends_as_if_nothing_was(
    hub: tuple[Engine, FakeList], state: Path, stage: str
) -> None:
    engine, listed = hub
    names = [*STAGES, "finish"]
    run_id = engine.stages().plan(engine.request())
    for name in names[: names.index(stage)]:
        getattr(engine.stages(), name)(run_id)
    witness(engine.database)
    maintenance.switch_on(state, "restore")
    with pytest.raises(RunMustWait, match="restore"):
        getattr(engine.stages(), stage)(run_id)
    assert written(engine.database) == set()
    maintenance.switch_off(state)
    run = engine.finish_from(run_id, names.index(stage))
    assert run["state"] == "succeeded"
    assert engine.projects().keys() == truth(listed).keys()


def test_a_run_stops_at_its_next_page_and_resumes_there(
    hub: tuple[Engine, FakeList], state: Path
) -> None:
    engine, listed = hub
    run_id = engine.stages().plan(engine.request())

    def begins() -> None:
        maintenance.switch_on(state, "restore")
        witness(engine.database)

    listed.before_page[3] = begins
    with pytest.raises(RunMustWait):
        engine.stages().fetch(run_id)
    assert written(engine.database) == set()
    pages = engine.row("SELECT count(*) AS n FROM hub.sync_page")["n"]
    assert pages >= 1
    listed.before_page.clear()
    maintenance.switch_off(state)
    run = engine.finish_from(run_id, 0)
    assert run["state"] == "succeeded"
    assert engine.projects().keys() == truth(listed).keys()


def test_housekeeping_skips_and_writes_nothing(database: Database, state: Path) -> None:
    maintenance.switch_on(state, "restore")
    witness(database)
    with pytest.raises(AirflowSkipException, match="restore"):
        HousekeepingTask(task_id="sweep").execute({"ti": None})  # type: ignore[typeddict-item]
    assert written(database) == set()
    maintenance.switch_off(state)
    context: Any = {"ti": SimpleNamespace(get_dr_count=lambda **_: 0)}
    HousekeepingTask(task_id="sweep").execute(context)
    assert "heartbeat" in written(database)


def test_only_what_d20_lists_is_written_whatever_anybody_does(
    database: Database, database_url: str, state: Path
) -> None:
    """Every route, a parse with a broken rule, housekeeping, a start of the api-server, a run of every kind."""
    kit = BridgeKit(database_url, HUB_STATE_DIR=str(state))
    try:
        kit.connect()
        kit.save_rule()
        kit.enable()
        kit.call("POST", f"{API}/projects/run", {"dry_run": True})
        witness(database)
        maintenance.switch_on(state, "restore")
        _do_everything(kit)
        found = written(database)
        columns = {name.partition(".")[2] for name in found if "." in name}
        assert {name for name in found if "." not in name} <= _LISTED
        assert columns <= _AUTH_COLUMNS
        assert {"oauth_flow", "encrypted_secret", "audit_log"} <= found  # the witness does see
        maintenance.switch_off(state)
        _do_everything(kit)
        assert {"integration_connection", "rate_limit", "heartbeat"} <= written(database)
    finally:
        kit.close()


def _do_everything(kit: BridgeKit) -> None:
    bodies = {
        "/api/integrations/{provider}/connections": {
            "key": "other", "label": "O", "environment": "production",
        },
        "/api/integrations/{provider}/{object}/rule": RULE,
        "/api/integrations/{provider}/{object}/run": {"dry_run": True},
    }  # fmt: skip
    for method, path in routes(kit.app):
        body = bodies.get(path, {}) if method in ("POST", "PUT", "PATCH") else None
        kit.call(method, concrete(path), body)
    query, cookie = kit.start()
    assert kit.callback(query["state"], cookie).status_code == 200
    query, cookie = kit.start()
    kit.callback(query["state"], cookie, error="access_denied")
    asyncio.run(_start_and_stop(kit))  # waits for its threads
    source = RuleSource()
    source.load()
    source.report({1: "broken"})
    context: Any = {"ti": SimpleNamespace(get_dr_count=lambda **_: 0)}
    with suppress(AirflowSkipException):
        HousekeepingTask(task_id="sweep").execute(context)


async def _start_and_stop(kit: BridgeKit) -> None:
    async with kit.app.router.lifespan_context(kit.app):
        await asyncio.sleep(0.05)
