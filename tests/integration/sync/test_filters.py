"""A rule's filters decide which records without a link are imported, and nothing else."""

from __future__ import annotations

from typing import Any

from tests.kit.fake_list import FakeList, project

ACTIVE = [{"field": "status", "in": ["0"]}]
FIXED = [{"field": "contractType", "in": ["1"]}]


def _listed() -> FakeList:
    return FakeList([project(n, status=(0, 2)[n % 2], contractType=n % 3) for n in range(12)])


def _numbers(hub: Any) -> list[int]:
    return sorted(int(key[2:]) for key in hub.projects())


def test_every_filter_must_hold_and_the_rest_is_counted_as_skipped(engine: Any) -> None:
    hub = engine(_listed(), filters=ACTIVE + FIXED)
    run = hub.run()
    assert _numbers(hub) == [4, 10]
    assert (run["state"], run["created"], run["skipped"]) == ("succeeded", 2, 10)


def test_a_field_that_is_only_filtered_is_asked_for(engine: Any) -> None:
    listed = _listed()
    hub = engine(listed, filters=FIXED)
    hub.run()
    assert all("contractType" in query.fields for kind, query, _ in listed.asked if kind == "page")
    assert _numbers(hub) == [1, 4, 7, 10]


def test_an_odd_page_is_filtered_as_any_other(engine: Any) -> None:
    listed = _listed()
    listed.records["p-00003"]["name"] = 5
    hub = engine(listed, filters=ACTIVE)
    run = hub.run()
    assert (run["rejected"], _numbers(hub)) == (1, [0, 2, 4, 6, 8, 10])


def test_a_linked_record_is_followed_whatever_the_filters_say(engine: Any) -> None:
    listed = _listed()
    hub = engine(listed, filters=FIXED)
    hub.run()
    listed.touch("p-00001", name="Renamed", contractType=2)
    listed.touch("p-00002", name="Still not ours")
    run = hub.run()
    assert (run["updated"], run["created"]) == (1, 0)
    assert _numbers(hub) == [1, 4, 7, 10]
    assert hub.projects()["p-00001"]["name"] == "Renamed"


def test_a_remap_lets_in_what_wider_filters_take_without_a_request(engine: Any) -> None:
    listed = _listed()
    hub = engine(listed, filters=FIXED)
    hub.run()
    hub.change_rule(filters=[{"field": "contractType", "in": ["1", "2"]}])
    run = hub.run(trigger="manual", mode="remap")
    assert (run["state"], run["requests"]) == ("succeeded", 0)
    assert _numbers(hub) == [1, 2, 4, 5, 7, 8, 10, 11]
