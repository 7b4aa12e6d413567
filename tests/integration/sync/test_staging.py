"""What fetch leaves in staging, and what the later stages read back of it."""

from __future__ import annotations

from typing import Any

from integrations_hub.store.sync import PostgresSyncStore
from tests.kit.fake_list import FakeList, portfolio, project


def _flags(hub: Any, run_id: int) -> list[tuple[int, int, str, str | None]]:
    rows = hub.rows(
        "SELECT page_no, n, external_id, flag FROM hub.sync_record WHERE run_id = %(id)s "
        "ORDER BY page_no, n",
        id=run_id,
    )
    return [tuple(row.values()) for row in rows]


def test_a_page_is_staged_as_it_came_and_its_children_are_known_at_once(engine: Any) -> None:
    listed = FakeList([project(0), project(1, parentId="p-00000"), project(2)])
    hub = engine(listed)
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    body = listed.page(listed.asked[-2][1], 1, 10).body
    assert hub.row("SELECT body FROM hub.sync_body")["body"] == body
    assert [flag for *_, flag in _flags(hub, run_id)] == [None, "child", None]


def test_an_incremental_page_is_mapped_by_the_place_of_each_record_in_it(engine: Any) -> None:
    """Records of the overlap that were read already leave gaps in the numbering of a page."""
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    for i in (3, 5, 8):
        listed.touch(f"p-{i:05d}", name=f"Renamed {i}")
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    places = [(page, n) for page, n, *_ in _flags(hub, run_id)]
    assert any(n > 0 and (page, n - 1) not in places for page, n in places)
    hub.finish_from(run_id, 1)
    projects = hub.projects()
    assert {key: projects[key]["name"] for key in ("p-00003", "p-00005", "p-00008")} == {
        "p-00003": "Renamed 3",
        "p-00005": "Renamed 5",
        "p-00008": "Renamed 8",
    }
    assert projects["p-00004"]["name"] == "Project 4"


def test_filter_parents_twice_flags_the_same_records(engine: Any) -> None:
    """The older version was a root, the newest is a child: the record is a child, both times."""
    listed = FakeList(portfolio(30))
    listed.filter_hides = {"p-00000"}  # keeps the server-side filter off
    hub = engine(listed)
    hub.run()
    for i in range(30):
        listed.touch(f"p-{i:05d}", name=f"Second {i}")
    pages = sum(kind == "page" for kind, _, _ in listed.asked)
    listed.before_page[pages + 2] = lambda: listed.touch("p-00002", parentId="p-00001")
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    first = hub.stages().filter_parents(run_id)
    flags = _flags(hub, run_id)
    assert {flag for _, _, key, flag in flags if key == "p-00002"} == {"duplicate", "child"}
    assert hub.stages().filter_parents(run_id) == first
    assert _flags(hub, run_id) == flags


def test_what_is_to_be_mapped_comes_page_by_page_with_what_could_not_be_read(engine: Any) -> None:
    listed = FakeList([*portfolio(12, children=3), project(99, lastUpdated="yesterday")])
    hub = engine(listed, page_size=6)
    run_id = hub.stages().plan(hub.request())
    hub.stages().fetch(run_id)
    hub.stages().filter_parents(run_id)
    pages = list(PostgresSyncStore(hub.database).mappable(run_id))
    assert [page.page_no for page in pages] == [1, 2, 3]
    assert [len(page.places) for page in pages] == [6, 6, 0]
    assert pages[2].malformed == [(3, "p-00099", "lastUpdated is not a date and time")]
    assert (pages[0].places[1], pages[0].external_ids[1]) == (1, "p-00001")
