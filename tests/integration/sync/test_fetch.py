"""Reading a provider that misbehaves: odd pages, repeats, limits, people who stop the run."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations_hub.admin.progress import Progress, progress_of
from integrations_hub.domain.stamps import parse_instant
from integrations_hub.errors import RateLimited, RunLost, TransientError
from integrations_hub.store.runs import PostgresRunStore
from tests.kit.engine import Engine, truth
from tests.kit.fake_list import EPOCH, FakeList, portfolio, project
from tests.kit.fake_time import FakeClock


def _named(hub: Engine) -> dict[str, tuple[Any, ...]]:
    return {
        key: (row["name"], row["project_number"], row["client"])
        for key, row in hub.projects().items()
    }


def _pages(listed: FakeList) -> int:
    return sum(kind == "page" for kind, _, _ in listed.asked)


class Misbehaving(FakeList):
    """`rows_of(page number, rows)` replaces what a page holds."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        super().__init__(records)
        self.size_of: Any = lambda _number, size: size

    def page(self, query: Any, number: int, size: int) -> Any:
        return super().page(query, number, self.size_of(number, size))


def test_a_full_list_of_pages_larger_than_asked_is_read_whole(engine: Any) -> None:
    listed = Misbehaving(portfolio(50))
    listed.size_of = lambda _number, _size: 17
    hub = engine(listed)
    assert hub.run()["pages"] == 3
    assert _named(hub) == truth(listed)


def test_a_changes_list_that_cuts_its_pages_short_all_at_once_loses_nothing(engine: Any) -> None:
    """The size the provider gives falls after the first full listing measured it."""
    listed = FakeList(portfolio(1000))
    hub = engine(listed, page_size=100)
    hub.run()
    for i in range(40):
        listed.touch(f"p-{i:05d}", name=f"Again {i}")
    listed.page_cap = 7
    assert hub.run()["state"] == "succeeded"
    assert _named(hub) == truth(listed)
    assert hub.mark() == listed.now


def test_a_changes_list_that_keeps_records_back_ends_incomplete_and_the_mark_stays(
    engine: Any,
) -> None:
    listed = FakeList(portfolio(1000))
    hub = engine(listed, page_size=100)
    hub.run()
    mark = hub.mark()
    listed.touch("p-00001", name="shown")
    listed.touch("p-00002", name="counted, never given")
    whole = listed._rows
    listed.page = lambda query, number, size: _without(listed, whole, query, number, size)  # type: ignore[method-assign]
    run = hub.run()
    assert (run["state"], hub.mark()) == ("incomplete", mark)
    del listed.page
    assert hub.run()["state"] == "succeeded"
    assert _named(hub) == truth(listed)


def _without(listed: FakeList, whole: Any, query: Any, number: int, size: int) -> Any:
    listed._rows = lambda asked: [r for r in whole(asked) if r["id"] != "p-00002"]  # type: ignore[method-assign]
    try:
        return FakeList.page(listed, query, number, size)
    finally:
        listed._rows = whole  # type: ignore[method-assign]


def test_records_deleted_while_changes_are_read_do_not_end_the_run(engine: Any) -> None:
    listed = FakeList(portfolio(1000))
    hub = engine(listed, page_size=20)
    hub.run()
    for i in range(60):
        listed.touch(f"p-{i:05d}", name=f"Again {i}")

    def delete() -> None:
        for i in range(50, 55):
            del listed.records[f"p-{i:05d}"]

    listed.before_page[_pages(listed) + 2] = delete
    assert hub.run()["state"] == "succeeded"
    assert hub.mark() == listed.now


class Repeating(FakeList):
    """A list that holds one record twice and counts it twice."""

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        rows = super()._rows(query)
        return [*rows[:5], *rows[4:]] if len(rows) > 5 else rows


def test_a_list_that_holds_a_record_twice_gives_one_project(engine: Any) -> None:
    listed = Repeating(portfolio(25))
    hub = engine(listed)
    run = hub.run()
    assert run["state"] == "succeeded"
    assert (run["listing"]["attempt"], run["listing"]["repeated"]) == (2, 1)
    assert _named(hub) == truth(listed)


def test_the_same_change_on_two_pages_is_one_project_with_the_newest_values(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    for i in range(30):
        listed.touch(f"p-{i:05d}", name=f"Second {i}")
    listed.before_page[_pages(listed) + 2] = lambda: listed.touch("p-00003", name="Third 3")
    run = hub.run()
    assert run["records"] > 30
    assert _named(hub) == truth(listed)


def test_a_listing_that_repeats_its_page_stops(engine: Any) -> None:
    listed = Misbehaving(portfolio(40))
    first = FakeList.page
    listed.page = lambda query, _number, size: first(listed, query, 1, size)  # type: ignore[method-assign]
    hub = engine(listed)
    run = hub.run()
    assert (run["state"], run["error_code"]) == ("failed", "PAGING_LOOP")
    assert run["pages"] == 1


def test_a_provider_that_stays_busy_keeps_the_committed_pages_for_the_next_try(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())

    def busy() -> None:
        listed.before_page[_pages(listed) + 1] = busy
        raise RateLimited("too many requests", retry_after_s=2)

    listed.before_page[3] = busy
    for _ in range(2):
        with pytest.raises(RateLimited):
            hub.stages().fetch(run_id)
    kept = hub.row("SELECT pages, records FROM hub.integration_run WHERE id = %(r)s", r=run_id)
    assert kept["pages"] >= 1
    assert kept["records"] == 10 * kept["pages"]
    listed.before_page.clear()
    asked = len(listed.asked)
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    again = [number for kind, _, number in listed.asked[asked:] if kind == "page"]
    assert again == list(range(kept["pages"] + 1, 5))
    assert _named(hub) == truth(listed)


def test_a_try_that_takes_too_long_ends_after_its_page_and_the_next_goes_on(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    clock = FakeClock()
    run_id = hub.stages().plan(hub.request())
    stages = hub.stages()
    slow = replace(stages._fetch, clock=clock, soft_limit_s=100)
    listed.before_page[2] = lambda: clock.sleep(101)
    with pytest.raises(TransientError, match="longer than"):
        slow.run(run_id)
    row = hub.row("SELECT pages, error_code FROM hub.integration_run WHERE id = %(r)s", r=run_id)
    assert row["error_code"] == "TIME_LIMIT"
    assert row["pages"] >= 1
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    assert _named(hub) == truth(listed)


def test_a_run_says_how_far_it_is_and_when_it_will_be_done(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    seen: list[Progress] = []

    def look() -> None:
        beside = hub.database.fork()
        run = PostgresRunStore(beside).get(run_id)
        beside.close()
        entered = parse_instant(run.stage_times["fetch"])
        assert entered is not None
        seen.append(progress_of(run, 60, entered + timedelta(seconds=3 * run.pages)))

    for number in (1, 4):
        listed.before_page[number] = look
    hub.stages().fetch(run_id)
    assert (seen[0].pages_done, seen[0].records, seen[0].eta_s) == (0, 0, None)
    pages = seen[1].pages_done
    assert (seen[1].records, seen[1].pages_expected) == (10 * pages, 4)
    assert seen[1].eta_s == (4 - pages) * 3


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("cancel", "CANCELLED"),
        ("UPDATE hub.integration_rule SET enabled = false", "RULE_DISABLED"),
        ("UPDATE hub.integration_connection SET is_disabled = true", "CONNECTION_NOT_READY"),
    ],
    ids=["cancelled", "rule disabled", "connection disabled"],
)
def test_a_stopped_run_ends_at_its_next_page_and_writes_nothing(
    engine: Any, stop: str, code: str
) -> None:
    listed = FakeList(portfolio(100))
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())

    def stop_it() -> None:
        beside = hub.database.fork()  # pages are asked for on threads of their own
        if stop == "cancel":
            PostgresRunStore(beside).cancel(run_id, actor="ann", request_id=None)
        else:
            beside.execute(stop)
        beside.close()

    listed.before_page[3] = stop_it
    run = hub.finish_from(run_id, 0)
    assert (run["state"], run["error_code"]) == ("cancelled", code)
    assert run["pages"] <= 3
    assert hub.projects() == {}
    assert hub.row("SELECT run_id FROM hub.integration_lease")["run_id"] is None


def test_a_run_cancelled_between_two_stages_does_not_go_on(engine: Any) -> None:
    hub = engine(FakeList(portfolio(10)))
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    PostgresRunStore(hub.database).cancel(run_id, actor="ann", request_id=None)
    with pytest.raises(RunLost, match="was cancelled"):
        hub.stages().filter_parents(run_id)
    assert hub.finish_from(run_id, 4)["state"] == "cancelled"


def test_requests_stay_within_pages_and_two_for_everything_and_one_for_changes(engine: Any) -> None:
    listed = FakeList(portfolio(1000))
    hub = engine(listed, page_size=100)
    hub.run()
    full = hub.run(trigger="manual", mode="full")
    assert full["requests"] <= full["pages"] + 2
    for i in range(250):
        listed.touch(f"p-{i:05d}", name=f"Again {i}")
    changes = hub.run()
    assert changes["requests"] <= changes["pages"] + 1
    listed.now += timedelta(hours=1)
    listed.touch("p-00001", name="Once more")
    hub.run()
    quiet = hub.run()
    assert (quiet["records"], quiet["pages"], quiet["requests"]) == (1, 1, 2)


def test_a_stamp_within_the_second_is_not_lost_to_the_filters_whole_seconds(engine: Any) -> None:
    """`where` knows seconds only: 08:00:05.869 must still be read from a mark of 08:00:05.870."""
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    listed.now = EPOCH + timedelta(hours=5)
    listed.records["p-00001"].update(lastUpdated="2026-03-01T13:00:05.870", name="first")
    hub.run()
    assert hub.mark().microsecond == 870_000
    listed.records["p-00002"].update(lastUpdated="2026-03-01T13:00:05.869", name="late by 1 ms")
    hub.run()
    assert hub.projects()["p-00002"]["name"] == "late by 1 ms"


def test_a_commit_that_comes_late_within_the_overlap_is_read(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", name="in time")
    hub.run()
    stamp = listed.now - timedelta(seconds=150)  # stamped before the mark, shown after it
    listed.records["p-00002"].update(lastUpdated=stamp.isoformat(), name="late")
    hub.run()
    assert hub.projects()["p-00002"]["name"] == "late"


def test_a_window_that_holds_a_record_of_2999_leaves_the_mark_of_a_first_run_in_the_present(
    engine: Any,
) -> None:
    listed = FakeList(
        [
            *portfolio(3),
            project(9, lastUpdated="2999-01-01T00:00:00"),
            project(10, lastUpdated=None),
        ]
    )
    hub = engine(listed)
    run = hub.run()
    assert run["state"] == "succeeded"
    assert hub.mark() == EPOCH + timedelta(seconds=2)
    assert {"p-00009", "p-00010"} <= set(hub.projects())


def test_as_many_pages_are_in_flight_as_the_connection_may_have(engine: Any) -> None:
    """More than the provider's metadata allows: the connection's own limit counts."""
    listed, together = Misbehaving(portfolio(40)), threading.Barrier(3)
    hub = engine(listed)
    hub.database.execute(
        "UPDATE hub.integration_connection SET limits = '{\"maxConcurrentPerConnection\": 3}'"
    )

    def size_of(number: int, size: int) -> int:
        if number in (2, 3, 4):  # the first page is read alone
            together.wait(timeout=10)
        return size

    listed.size_of = size_of
    assert hub.run()["state"] == "succeeded"
