"""A cancel stops a stage at work at its next write, whatever becomes of its process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from integrations_hub.errors import RunFailed, RunLost
from integrations_hub.store.runs import PostgresRunStore
from integrations_hub.store.sync import PostgresSyncStore
from tests.kit.fake_list import FakeList, project


def test_a_stage_at_work_stops_at_its_next_page_and_the_run_ends_cancelled(engine: Any) -> None:
    listing = FakeList([project(n) for n in range(50)])
    between, cancelled = threading.Event(), threading.Event()

    def wait() -> None:
        between.set()
        assert cancelled.wait(30)

    listing.before_page[3] = wait
    one = engine(listing)
    run_id = one.stages().plan(one.request())
    with ThreadPoolExecutor(1) as pool:
        stage = pool.submit(one.stages().fetch, run_id)
        assert between.wait(30)
        PostgresRunStore(one.database).cancel(run_id, actor="ada", request_id=None)
        pages = one.row("SELECT pages FROM hub.integration_run WHERE id = %(id)s", id=run_id)
        cancelled.set()
        with pytest.raises(RunLost):
            stage.result(30)
    with pytest.raises(RunLost):
        one.stages().fetch(run_id)  # a retry that Airflow had begun already
    with pytest.raises(RunLost):
        one.stages().filter_parents(run_id)
    with pytest.raises(RunFailed):
        one.stages().finish(run_id)
    row = one.row("SELECT * FROM hub.integration_run WHERE id = %(id)s", id=run_id)
    assert (row["state"], row["error_code"], row["pages"]) == (
        "cancelled",
        "CANCELLED",
        pages["pages"],
    )
    assert row["error_text"] == "Cancelled by ada."
    assert one.mark() is None
    assert one.run()["state"] == "succeeded"


def test_each_stage_leaves_the_time_it_was_entered(engine: Any) -> None:
    row = engine(FakeList([project(n) for n in range(3)])).run()
    assert set(row["stage_times"]) == {
        "plan",
        "fetch",
        "filter_parents",
        "map_fields",
        "upsert",
        "finish",
    }
    assert list(row["stage_times"].values())


def test_a_cancel_stays_when_a_stage_fails_at_the_same_moment(engine: Any) -> None:
    one = engine(FakeList([project(n) for n in range(3)]))
    run_id = one.stages().plan(one.request())
    runs, store = PostgresRunStore(one.database), PostgresSyncStore(one.database)
    entered = store.enter_stage(run_id, "fetch", 120)
    assert entered is not None
    runs.cancel(run_id, actor="ada", request_id=None)
    store.note_error(*entered, code="OTHER", text="other", hint="")
    found = runs.get(run_id)
    assert (found.error_code, found.error_text) == ("CANCELLED", "Cancelled by ada.")


def test_a_stage_that_enters_during_a_cancel_does_not(engine: Any) -> None:
    one = engine(FakeList([project(n) for n in range(3)]))
    run_id = one.stages().plan(one.request())
    beside, watcher = one.database.fork(), one.database.fork()
    with ThreadPoolExecutor(1) as pool, one.database.transaction() as tx:
        tx.execute("UPDATE hub.integration_lease SET fence = fence + 1")
        entering = pool.submit(PostgresSyncStore(beside).enter_stage, run_id, "fetch", 120)
        while not watcher.rows(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            assert not entering.done()
        tx.execute("UPDATE hub.integration_run SET error_code = 'CANCELLED'")
    assert entering.result() is None
    assert PostgresSyncStore(beside).enter_stage(run_id, "finish", 120) is not None
    beside.close()
    watcher.close()
