"""What a run reads: first runs, generations, sweeps that are due, windows and resyncs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from integrations_hub.errors import ConfigurationError, RunRefused
from integrations_hub.store.resync import PostgresResyncStore
from integrations_hub.store.state import PostgresStateStore
from tests.kit.engine import Engine
from tests.kit.fake_list import EPOCH, FakeList, portfolio

DAY = timedelta(days=1)


def _seed(hub: Engine, mark: datetime, generation: int = 1) -> None:
    """A mark of the tests' own time instead of the one that enabling the rule set."""
    hub.database.execute("DELETE FROM hub.integration_state")
    PostgresStateStore(hub.database).seed_mark(
        hub.connection.id, "projects", generation, seeded_by="ann", mark=mark
    )


def _next_generation(hub: Engine) -> None:
    hub.database.execute("UPDATE hub.integration_rule SET generation = generation + 1")


def _plan(hub: Engine, trigger: str = "scheduled", **params: Any) -> dict[str, Any]:
    """The pinned plan of a new run, which is then given up."""
    run_id = hub.stages().plan(hub.request(trigger, **params))
    plan = hub.row("SELECT plan FROM hub.integration_run WHERE id = %(id)s", id=run_id)["plan"]
    hub.database.execute("UPDATE hub.integration_lease SET run_id = NULL, expires_at = '-infinity'")
    hub.database.execute(
        "UPDATE hub.integration_run SET ended_at = now(), state = 'failed' WHERE ended_at IS NULL"
    )
    return dict(plan)


def _first(mode: str, since: str) -> dict[str, str]:
    """The rule's options for its first run; the date belongs to one mode only."""
    date = {"initialSyncSince": since} if mode == "delta_only_after_date" else {}
    return {"initialSyncMode": mode, **date}


def _iso(stamp: datetime) -> str:
    return str(stamp)


SINCE = EPOCH + timedelta(seconds=30)
FIRST_RUNS = [
    # initialSyncMode, mark of this generation, listing, since, only_since
    ("full_once", None, "full", None, None),
    ("full_once", EPOCH, "incremental", EPOCH - timedelta(seconds=300), None),
    ("delta_only_after_date", None, "incremental", SINCE, SINCE),
    ("delta_only_after_date", EPOCH, "incremental", EPOCH - timedelta(seconds=300), SINCE),
    (
        "delta_only_from_now",
        EPOCH,
        "incremental",
        EPOCH - timedelta(seconds=300),
        EPOCH - timedelta(seconds=300),
    ),
]


@pytest.mark.parametrize(("mode", "mark", "listing", "since", "only_since"), FIRST_RUNS)
def test_the_first_run_reads_what_its_mode_says_and_the_next_from_the_mark(
    engine: Any,
    mode: str,
    mark: datetime | None,
    listing: str,
    since: datetime | None,
    only_since: datetime | None,
) -> None:
    hub = engine(FakeList([]), **_first(mode, "2026-03-01T08:00:30Z"))
    if mark is not None:
        _seed(hub, mark)
    plan = _plan(hub)
    assert plan["listing"] == listing
    assert plan["since"] == (None if since is None else _iso(since))
    assert plan["only_since"] == (None if only_since is None else _iso(only_since))


def test_a_rule_that_reads_from_now_on_without_a_seed_says_what_to_do(engine: Any) -> None:
    hub = engine(FakeList([]), initialSyncMode="delta_only_from_now")
    hub.database.execute("DELETE FROM hub.integration_state")
    with pytest.raises(ConfigurationError) as told:
        hub.stages().plan(hub.request())
    assert told.value.code == "SEED_MISSING"
    assert "enable it again" in told.value.hint


def test_changes_between_enabling_and_the_first_run_are_read(engine: Any) -> None:
    listed = FakeList(portfolio(2000))
    hub = engine(listed, initialSyncMode="delta_only_from_now", page_size=100)
    assert hub.row("SELECT seeded_by FROM hub.integration_state")["seeded_by"] == "rule"
    _seed(hub, listed.now)
    listed.touch("p-00007", name="after enabling, before the first run")
    run = hub.run()
    assert (run["state"], run["records"]) == ("succeeded", 1)
    assert set(hub.projects()) == {"p-00007"}
    assert hub.mark() == listed.now
    state = hub.row("SELECT seed, seeded_by FROM hub.integration_state")
    assert (state["seed"] < listed.now, state["seeded_by"]) == (True, "ann")


@pytest.mark.parametrize("mode", ["full_once", "delta_only_after_date"])
def test_a_new_generation_starts_over_and_never_from_the_old_mark(engine: Any, mode: str) -> None:
    hub = engine(FakeList(portfolio(5)), **_first(mode, "2026-01-01T00:00:00Z"))
    hub.run()
    assert _plan(hub)["since"] == _iso(EPOCH + timedelta(seconds=4 - 300))
    _next_generation(hub)
    plan = _plan(hub)
    expected = ("full", None) if mode == "full_once" else ("incremental", "2026-01-01 00:00:00")
    assert (plan["listing"], plan["since"]) == expected


def test_a_run_of_an_old_generation_never_moves_the_mark_of_a_new_one(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    _next_generation(hub)
    _seed(hub, EPOCH - DAY, generation=2)
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    state = hub.row("SELECT mark, generation FROM hub.integration_state")
    assert (state["mark"], state["generation"]) == (EPOCH - DAY, 2)


def _age(hub: Engine, days: float, column: str = "last_sweep_at") -> None:
    hub.database.execute(
        f"UPDATE hub.integration_state SET {column} = clock_timestamp() - make_interval(hours => %(h)s)",
        {"h": int(days * 24)},
    )


def test_a_sweep_is_due_by_the_databases_clock_and_asked_for_runs_never_turn_into_one(
    engine: Any,
) -> None:
    hub = engine(FakeList(portfolio(4)))
    hub.run()
    assert _plan(hub)["listing"] == "incremental"  # the first full run counts as one
    _age(hub, 6.9)
    assert _plan(hub)["listing"] == "incremental"
    _age(hub, 7)
    assert _plan(hub, trigger="manual")["listing"] == "incremental"
    assert hub.run()["plan"]["listing"] == "sweep"
    assert _plan(hub)["listing"] == "incremental"


def test_a_due_sweep_that_fails_does_not_keep_the_changes_waiting(engine: Any) -> None:
    hub = engine(FakeList(portfolio(4)))
    hub.run()
    _age(hub, 8)
    assert _plan(hub)["listing"] == "sweep"
    assert _plan(hub)["listing"] == "incremental"
    _age(hub, 1, "sweep_tried_at")
    assert _plan(hub)["listing"] == "sweep"


def test_sweeps_can_be_switched_off(engine: Any) -> None:
    hub = engine(FakeList(portfolio(4)), sweepEveryDays=0)
    hub.run()
    _age(hub, 400)
    assert _plan(hub)["listing"] == "incremental"


def test_a_restored_object_is_read_by_a_resync_only(engine: Any) -> None:
    hub = engine(FakeList(portfolio(4)))
    hub.run()
    hub.database.execute("UPDATE hub.integration_state SET resync_required = true")
    with pytest.raises(RunRefused, match="restored from a backup"):
        hub.stages().plan(hub.request())
    assert hub.row(
        "SELECT state, error_code FROM hub.integration_run ORDER BY id DESC LIMIT 1"
    ) == {
        "state": "skipped",
        "error_code": "RESYNC_REQUIRED",
    }
    with pytest.raises(RunRefused, match="restored from a backup"):
        hub.stages().plan(hub.request(trigger="manual"))
    assert hub.run(trigger="manual", mode="sweep")["state"] == "succeeded"


def _ask(hub: Engine, since: datetime | None) -> None:
    PostgresResyncStore(hub.database).request(
        connection_id=hub.connection.id,
        object_key="projects",
        since=since,
        actor="ann",
        request_id=None,
    )


def _required(hub: Engine) -> bool:
    return bool(hub.row("SELECT resync_required FROM hub.integration_state")["resync_required"])


def test_the_run_that_closes_the_last_gap_after_a_sweep_clears_the_flag(engine: Any) -> None:
    listed = FakeList(portfolio(30))
    hub = engine(listed)
    hub.run()
    hub.database.execute("UPDATE hub.integration_state SET resync_required = true")
    mark = hub.mark()
    _ask(hub, EPOCH)
    window = hub.run(trigger="manual", mode="resync")
    assert (window["state"], window["plan"]["listing"]) == ("succeeded", "window")
    assert window["records"] == 30
    assert (hub.mark(), _required(hub)) == (mark, True)
    sweep = hub.run(trigger="manual", mode="resync")
    assert sweep["plan"]["listing"] == "sweep"
    assert not _required(hub)
    closed = hub.row("SELECT closed_by FROM hub.resync_request")
    assert closed["closed_by"] == sweep["id"]
    with pytest.raises(ConfigurationError) as told:
        hub.stages().plan(hub.request(trigger="manual", mode="resync"))
    assert told.value.code == "RESYNC_NOT_OPEN"


def test_a_window_run_closes_its_part_of_a_resync(engine: Any) -> None:
    hub = engine(FakeList(portfolio(30)))
    hub.run()
    _ask(hub, EPOCH)
    hub.run(trigger="backfill", since=EPOCH - DAY, until=EPOCH + DAY)
    plan = _plan(hub, trigger="manual", mode="resync")
    assert (plan["listing"], plan["since"]) == ("window", _iso(EPOCH + DAY))


def test_a_failed_run_closes_nothing(engine: Any) -> None:
    listed = FakeList(portfolio(30))
    hub = engine(listed)
    hub.run()
    _ask(hub, EPOCH)

    def break_off() -> None:
        raise RuntimeError

    listed.before_page[sum(k == "page" for k, _, _ in listed.asked) + 1] = break_off
    assert hub.run(trigger="manual", mode="resync")["state"] == "failed"
    assert hub.rows("SELECT 1 FROM hub.resync_covered WHERE since IS NOT NULL") == []


def test_a_resync_of_everything_is_one_sweep(engine: Any) -> None:
    hub = engine(FakeList(portfolio(5)))
    hub.run()
    hub.database.execute("UPDATE hub.integration_state SET resync_required = true")
    _ask(hub, None)
    run = hub.run(trigger="manual", mode="resync")
    assert run["plan"]["listing"] == "sweep"
    assert not _required(hub)


def test_two_open_resyncs_keep_the_flag_until_both_are_closed(engine: Any) -> None:
    hub = engine(FakeList(portfolio(5)))
    hub.run()
    hub.database.execute("UPDATE hub.integration_state SET resync_required = true")
    _ask(hub, EPOCH)
    hub.run(trigger="manual", mode="resync")
    _ask(hub, EPOCH - DAY)
    hub.run(trigger="manual", mode="sweep")
    assert not _required(hub)  # the sweep read everything, for both


def test_an_unknown_mode_is_refused(engine: Any) -> None:
    hub = engine(FakeList([]))
    with pytest.raises(ConfigurationError, match="mode is 'everything'"):
        hub.stages().plan(hub.request(trigger="manual", mode="everything"))
