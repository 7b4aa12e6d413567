"""Tries that die, come twice or come too late: the database ends as after an uninterrupted run."""

from __future__ import annotations

from typing import Any

import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.errors import RateLimited, RunLost
from integrations_hub.store.database import Database
from integrations_hub.store.migrate import upgrade
from tests.kit.engine import STAGES, Engine, truth
from tests.kit.fake_list import FakeList, portfolio


class Killed(BaseException):
    """Stands for SIGKILL inside this process: nothing of ours catches it."""


def _projects(hub: Engine) -> dict[str, tuple[Any, ...]]:
    return {k: (r["name"], r["project_number"], r["client"]) for k, r in hub.projects().items()}


def _consistent(hub: Engine, listed: FakeList) -> None:
    assert _projects(hub) == truth(listed)
    count = hub.row("SELECT count(*) AS n FROM hub.projects")["n"]
    links = hub.row("SELECT count(*) AS n FROM hub.integration_external_link")["n"]
    assert count == links == len(truth(listed))
    totals = hub.row(
        "SELECT sum(created) AS created, "
        "(SELECT coalesce(sum(created), 0) FROM hub.sync_chunk) AS ledger FROM hub.integration_run"
    )
    assert totals["created"] == totals["ledger"] == count
    assert (
        hub.rows("SELECT key FROM hub.integration_lease WHERE expires_at > clock_timestamp()") == []
    )


def test_fetch_resumes_after_the_last_committed_page(engine: Any) -> None:
    listed = FakeList(portfolio(60))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())

    def die() -> None:
        raise Killed

    listed.before_page[4] = die
    with pytest.raises(Killed):
        hub.stages().fetch(run_id)
    listed.asked.clear()
    run = hub.finish_from(run_id, 0)
    asked = [number for kind, _, number in listed.asked if kind == "page"]
    assert min(asked) > 1
    assert run["state"] == "succeeded"
    _consistent(hub, listed)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_may_run_twice(engine: Any, stage: str) -> None:
    listed = FakeList(portfolio(25, children=5))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    for name in STAGES:
        getattr(hub.stages(), name)(run_id)
        if name == stage:
            getattr(hub.stages(), name)(run_id)
    run = hub.finish_from(run_id, len(STAGES))
    assert (run["state"], run["created"], run["children"]) == ("succeeded", 25, 5)
    _consistent(hub, listed)


def test_finish_twice_ends_the_run_once(engine: Any) -> None:
    listed = FakeList(portfolio(4))
    hub = engine(listed)
    run = hub.run()
    again = hub.finish_from(run["id"], len(STAGES))
    assert again["ended_at"] == run["ended_at"]


def test_an_orphan_of_an_earlier_try_writes_nothing(engine: Any) -> None:
    """The orphan is past its fence raise, as after kill -9 of its supervisor; its retry finishes first."""
    from integrations_hub.sync.pinned import Pinned
    from integrations_hub.sync.stage import enter

    listed = FakeList(portfolio(12))
    hub = engine(listed)
    stages = hub.stages()
    run_id = stages.plan(hub.request())
    for name in STAGES[:3]:
        getattr(stages, name)(run_id)
    orphan = hub.stages()
    upsert = orphan._upsert
    with pytest.raises(RunLost), enter(upsert.store, upsert.runs, run_id, "upsert") as stage:
        hub.stages().upsert(run_id)  # the retry raises the fence and applies everything
        with stage.write() as tx:
            tx.apply_chunk(99, 1, 12, Pinned.of(stage.run).write_rules())
    run = hub.finish_from(run_id, len(STAGES))
    assert run["state"] == "succeeded"
    assert hub.rows("SELECT 1 AS x FROM hub.sync_chunk WHERE chunk_no = 99") == []
    _consistent(hub, listed)


def test_a_run_whose_lapsed_lease_was_taken_over_is_lost_and_writes_nothing(engine: Any) -> None:
    listed = FakeList(portfolio(12))
    hub = engine(listed)
    frozen = hub.stages().plan(hub.request())
    hub.stages().fetch(frozen)
    hub.database.execute(
        "UPDATE hub.integration_lease SET expires_at = clock_timestamp() - interval '1 s'"
    )
    assert hub.run()["state"] == "succeeded"
    said = hub.rows("SELECT state, error_text FROM hub.integration_run ORDER BY id")[0]
    assert (said["state"], "took over its lapsed lease" in said["error_text"]) == ("lost", True)
    with pytest.raises(RunLost):
        hub.stages().filter_parents(frozen)
    assert hub.finish_from(frozen, 1)["state"] == "lost"
    _consistent(hub, listed)


def test_a_second_try_of_plan_goes_on_with_its_own_run(engine: Any) -> None:
    hub = engine(FakeList(portfolio(12)))
    request = hub.request()
    first, second = hub.stages().plan(request), hub.stages().plan(request)
    assert second == first
    assert hub.finish_from(second, 0)["state"] == "succeeded"


def test_upsert_goes_on_after_the_last_applied_chunk(engine: Any) -> None:
    from dataclasses import replace

    listed = FakeList(portfolio(50))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    for name in STAGES[:3]:
        getattr(hub.stages(), name)(run_id)
    upsert = replace(hub.stages()._upsert, chunk_size=10)
    applied: list[int] = []
    once = type(upsert)._apply

    def apply(
        self: Any, stage: Any, pinned: Any, number: int, first: int, last: int
    ) -> dict[str, int]:
        if len(applied) == 2:
            raise Killed
        applied.append(number)
        return once(self, stage, pinned, number, first, last)

    class Dying(type(upsert)):  # type: ignore[misc]
        _apply = apply

    with pytest.raises(Killed):
        Dying(store=upsert.store, runs=upsert.runs, chunk_size=10).run(run_id)
    assert hub.row("SELECT count(*) AS n FROM hub.projects")["n"] == 20
    run = hub.finish_from(run_id, 3)
    assert (run["state"], run["created"]) == ("succeeded", 50)
    _consistent(hub, listed)


def test_a_run_that_dies_in_upsert_for_good_keeps_the_mark_and_the_next_one_completes(
    engine: Any,
) -> None:
    listed = FakeList(portfolio(10))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    for name in STAGES[:3]:
        getattr(hub.stages(), name)(run_id)
    run = hub.finish_from(run_id, len(STAGES))  # upsert never ran
    assert run["state"] == "failed"
    assert run["error_code"] == "STAGE_INTERRUPTED"
    assert hub.mark() is None
    assert hub.run()["state"] == "succeeded"
    _consistent(hub, listed)


@pytest.mark.parametrize(("wait_s", "still_ours"), [(20, True), (3600, False)])
def test_a_waiting_fetch_keeps_its_lease_over_a_short_wait_and_leaves_it_before_a_long_one(
    engine: Any, wait_s: float, still_ours: bool
) -> None:
    listed = FakeList(portfolio(30))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())

    def limited() -> None:
        raise RateLimited("quota", retry_after_s=wait_s)

    listed.before_page[2] = limited
    with pytest.raises(RateLimited):
        hub.stages().fetch(run_id)
    held = "SELECT expires_at > clock_timestamp() + interval '5 min' AS held FROM hub.integration_lease"
    assert hub.row(held)["held"] is still_ours
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"  # nobody came: it goes on
    _consistent(hub, listed)


def test_a_run_cancelled_while_it_works_ends_cancelled_and_leaves_the_mark(engine: Any) -> None:
    listed = FakeList(portfolio(10))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    hub.runs.cancel(run_id, actor="admin", request_id=None)
    run = hub.finish_from(run_id, len(STAGES))  # Airflow ends the tasks and runs the teardown
    assert (run["state"], run["error_code"]) == ("cancelled", "CANCELLED")
    assert hub.projects() == {}
    assert hub.run()["state"] == "succeeded"
    _consistent(hub, listed)


@pytest.fixture
def own_server(tmp_path: Any) -> Any:
    """A server of this test's own, which it may crash."""
    server = EmbeddedPostgres(tmp_path / "pg", fsync=False)
    server.start()
    yield server
    server.destroy()


def test_staging_lost_between_fetch_and_map_fails_the_run_and_the_next_is_right(
    own_server: Any,
) -> None:
    upgrade(own_server.url)
    listed = FakeList(portfolio(30, children=6))
    hub = Engine(own_server.url, listed)
    run_id = hub.stages().plan(hub.request())
    for name in STAGES[:2]:
        getattr(hub.stages(), name)(run_id)
    own_server.stop("immediate")
    own_server.start()
    hub.database.close()
    hub.url = own_server.url
    hub.database = Database.from_url(own_server.url)
    run = hub.finish_from(run_id, 2)
    assert (run["state"], run["error_code"]) == ("failed", "STAGING_LOST")
    assert hub.projects() == {}
    assert hub.mark() is None
    assert hub.run()["state"] == "succeeded"
    _consistent(hub, listed)
    hub.close()


def test_staging_lost_during_fetch_starts_the_listing_again(own_server: Any) -> None:
    upgrade(own_server.url)
    listed = FakeList(portfolio(60))
    hub = Engine(own_server.url, listed)
    run_id = hub.stages().plan(hub.request())

    def crash() -> None:
        raise Killed

    listed.before_page[4] = crash
    with pytest.raises(Killed):
        hub.stages().fetch(run_id)
    own_server.stop("immediate")
    own_server.start()
    hub.database.close()
    hub.url = own_server.url
    hub.database = Database.from_url(own_server.url)
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    _consistent(hub, listed)
    hub.close()
