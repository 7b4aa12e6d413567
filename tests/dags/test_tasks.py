"""What Airflow sees of a stage: its result, its errors, its asset event; and what a stage sees of Airflow."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, RetryAction
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from integrations_hub import errors
from integrations_hub.errors import HubError, RunMustWait, RunRefused, TransientError
from integrations_hub.orchestration.retry_policy import FATES, Fate, HubRetryPolicy, fate_of
from integrations_hub.orchestration.run_request import run_request
from integrations_hub.orchestration.tasks import StageTask, translate
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio

UTC = timezone.utc


def all_classes(root: type[HubError] = HubError) -> list[type[HubError]]:
    found = []
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found += [child, *all_classes(child)]
    return found


def leaf(kind: type[HubError]) -> HubError:
    extra: dict[str, Any] = {
        "RuleInvalid": {"problems": []},
        "MappingInvalid": {"problems": []},
        "ConnectionInvalid": {"problems": []},
        "RecordRejected": {"pointer": "/name"},
        "RunMustWait": {"seconds": 3.0},
    }.get(kind.__name__, {})
    return kind("It happened.", hint="Do this.", **extra)


@pytest.mark.parametrize("kind", all_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_fate(kind: type[HubError]) -> None:
    assert fate_of(leaf(kind)) in set(Fate)


def test_the_table_names_families_only_once_and_nothing_foreign() -> None:
    assert set(FATES) <= set(all_classes())
    assert HubError not in FATES
    assert fate_of(ValueError("x")) is None


@pytest.mark.parametrize("stage", ["plan", "fetch", "upsert", "finish"])
@pytest.mark.parametrize("kind", all_classes(), ids=lambda kind: kind.__name__)
def test_every_error_becomes_what_airflow_understands(kind: type[HubError], stage: str) -> None:
    error = leaf(kind)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is looked at
        translate(error, stage)
    if isinstance(error, TransientError):
        assert caught.value is error
    elif isinstance(error, RunMustWait):
        assert isinstance(caught.value, AirflowRescheduleException)
    elif isinstance(error, RunRefused) and stage == "plan":
        assert isinstance(caught.value, AirflowSkipException)
    else:
        assert isinstance(caught.value, AirflowFailException)
        assert f"{error.code}: It happened. Do this." in str(caught.value)


@pytest.mark.parametrize(("asked", "waits"), [(0.0, 15), (5.0, 15), (30.0, 30)])
def test_a_waiting_run_comes_back_after_at_least_fifteen_seconds(asked: float, waits: int) -> None:
    now = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught:
        translate(RunMustWait("Waits.", seconds=asked), "plan")
    assert timedelta(seconds=waits) <= caught.value.reschedule_date - now
    assert caught.value.reschedule_date - now < timedelta(seconds=waits + 5)


@pytest.mark.parametrize(
    ("stage", "retry_after_s", "rescheduled"),
    [
        ("fetch", 61.0, True),
        ("fetch", 60.0, False),
        ("fetch", None, False),
        ("upsert", 600.0, False),
    ],
)
def test_only_a_long_wait_of_fetch_spends_no_try(
    stage: str, retry_after_s: float | None, rescheduled: bool
) -> None:
    error = errors.RateLimited("Slow down.", retry_after_s=retry_after_s)
    with pytest.raises(AirflowRescheduleException if rescheduled else errors.RateLimited):
        translate(error, stage)


# --- the retry policy ------------------------------------------------------------------------


def test_a_transient_error_is_tried_again_when_it_says() -> None:
    decision = HubRetryPolicy().evaluate(errors.RateLimited("x", retry_after_s=42), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=42))


def test_without_a_delay_of_its_own_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    delays = [
        HubRetryPolicy().evaluate(errors.DatabaseUnavailable("x"), n, 9).retry_delay
        for n in (1, 2, 3, 9)
    ]
    assert delays == [timedelta(seconds=s) for s in (30, 60, 120, 900)]


@pytest.mark.parametrize("kind", all_classes(), ids=lambda kind: kind.__name__)
def test_the_policy_never_retries_what_a_person_must_mend(kind: type[HubError]) -> None:
    action = HubRetryPolicy().evaluate(leaf(kind), 1, 3).action
    assert (action is RetryAction.RETRY) == issubclass(kind, TransientError)


def test_what_is_no_hub_error_keeps_the_tasks_own_retries() -> None:
    assert HubRetryPolicy().evaluate(ValueError("x"), 1, 3).action is RetryAction.DEFAULT


def test_the_policy_survives_serialization() -> None:
    text = json.dumps(HubRetryPolicy().serialize())
    assert isinstance(HubRetryPolicy.deserialize(json.loads(text)), HubRetryPolicy)


# --- a stage as a task -----------------------------------------------------------------------


class Scripted(StageTask):
    """A stage that ends as told, without a database."""

    ends: Any = None
    rows: dict[str, int]

    def _run(self, context: Any) -> dict[str, Any]:
        if isinstance(self.ends, Exception):
            raise self.ends
        return dict(self.ends)

    def _written(self, run_id: int) -> dict[str, int]:
        return self.rows


def run(stage: str, ends: Any, rows: dict[str, int] | None = None) -> tuple[Any, Scripted, Any]:
    asset = Asset("hub://acme/projects")
    task = Scripted(stage=stage, outlets=[asset] if stage == "upsert" else [])
    task.ends = ends
    task.rows = rows or {"created": 0, "updated": 0}
    events = {asset: SimpleNamespace(extra=None)}
    return task.execute({"outlet_events": events}), task, events  # type: ignore[arg-type]


def test_a_run_that_only_takes_rows_out_of_scope_tells_the_assets(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HUB_DB", database_url)
    listed = FakeList(portfolio(20, children=1))
    listed.filter_hides = {"p-00000"}  # keeps the server-side filter off
    hub = Engine(database_url, listed)
    try:
        hub.run()
        listed.touch("p-00003", parentId="p-00001")
        run = hub.run()
    finally:
        hub.close()
    written = StageTask(stage="upsert", rule_id=1)._written(run["id"])
    assert {name: n for name, n in written.items() if n} == {"out_of_scope": 1}


def test_a_stage_returns_its_small_summary() -> None:
    summary, _, _ = run("fetch", {"run_id": 7, "pages": 3})
    assert summary == {"run_id": 7, "pages": 3}
    assert len(json.dumps(summary)) < 1024


def test_an_upsert_that_wrote_announces_it_with_its_counts() -> None:
    this_try = {"run_id": 7, "created": 0, "updated": 0}  # an earlier try wrote, then was killed
    _, task, events = run("upsert", this_try, {"created": 2, "updated": 1})
    assert [event.extra for event in events.values()] == [{"run_id": 7, "created": 2, "updated": 1}]
    assert len(task.outlets) == 1


def test_an_upsert_that_wrote_nothing_announces_nothing() -> None:
    _, task, events = run("upsert", {"run_id": 7, "dry_run": True})
    assert task.outlets == []
    assert [event.extra for event in events.values()] == [None]


def test_a_stage_translates_its_error() -> None:
    with pytest.raises(AirflowSkipException, match="LEASE_HELD"):
        run("plan", errors.LeaseHeld("Held."))
    with pytest.raises(AirflowFailException, match="RUN_FAILED"):
        run("finish", errors.RunFailed("The run failed."))


def test_a_stage_without_a_planned_run_fails_in_words() -> None:
    task = StageTask(stage="fetch")
    ti = SimpleNamespace(xcom_pull=lambda task_ids: None)
    with pytest.raises(AirflowFailException, match="no run id"):
        task._planned_run({"ti": ti})  # type: ignore[typeddict-item]


# --- Airflow's context read as a request -----------------------------------------------------

START = datetime(2026, 5, 1, tzinfo=UTC)


def context(run_type: str = "manual", **params: Any) -> Any:
    dag_run = SimpleNamespace(
        dag_id="hub__bqe__acme__projects",
        run_id="some_run",
        run_type=SimpleNamespace(value=run_type),
        data_interval_start=START,
        data_interval_end=START + timedelta(days=1),
        triggering_user_name="ada",
    )
    defaults = {"mode": "scheduled", "since": None, "until": None, "dry_run": False}
    return {"dag_run": dag_run, "params": {**defaults, **params}}


@pytest.mark.parametrize(
    ("run_type", "trigger"),
    [
        ("scheduled", "scheduled"),
        ("manual", "manual"),
        ("backfill", "backfill"),
        ("asset_triggered", "manual"),
    ],
)
def test_the_run_type_says_who_asks(run_type: str, trigger: str) -> None:
    request = run_request(context(run_type), 5)
    assert (request.trigger, request.rule_id, request.requested_by) == (trigger, 5, "ada")
    assert (request.dag_id, request.dag_run_id) == ("hub__bqe__acme__projects", "some_run")


def test_a_scheduled_run_has_no_window() -> None:
    request = run_request(context("scheduled"), 5)
    assert (request.since, request.until, request.params["mode"]) == (None, None, "scheduled")


def test_a_backfill_is_the_window_of_its_interval() -> None:
    request = run_request(context("backfill", since="2020-01-01T00:00:00Z"), 5)
    assert (request.since, request.until) == (START, START + timedelta(days=1))
    assert request.params["mode"] == "window"


def test_params_become_instants_and_stay_json() -> None:
    request = run_request(
        context(mode="window", since="2026-05-01T02:00:00+02:00", until="2026-05-02T00:00:00Z"), 5
    )
    assert (request.since, request.until) == (START, START + timedelta(days=1))
    assert json.loads(json.dumps(request.params))["since"] == "2026-05-01T00:00:00+00:00"


def test_an_unreadable_instant_is_named() -> None:
    with pytest.raises(errors.ConfigurationError, match="since"):
        run_request(context(since="last tuesday"), 5)
