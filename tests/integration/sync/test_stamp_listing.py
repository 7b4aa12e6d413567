"""Lists of changes: how many requests they take, and that nothing is lost when they move meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations_hub.errors import TransientError
from tests.kit.engine import Engine, truth
from tests.kit.fake_list import FakeList, portfolio


def _named(hub: Engine) -> dict[str, tuple[Any, ...]]:
    return {
        key: (row["name"], row["project_number"], row["client"])
        for key, row in hub.projects().items()
    }


def _pages(listed: FakeList) -> int:
    return sum(kind == "page" for kind, _, _ in listed.asked)


def _at_once(listed: FakeList, keys: list[str], name: str = "At once") -> None:
    """Many changes of one instant, as an import leaves them."""
    listed.now += timedelta(hours=1)
    for key in keys:
        listed.records[key].update(name=f"{name} {key}", lastUpdated=listed.now.isoformat())


def _ids(first: int, count: int) -> list[str]:
    return [f"p-{i:05d}" for i in range(first, first + count)]


@pytest.fixture
def synced(engine: Any) -> tuple[FakeList, Engine]:
    """Forty projects that are read. What changes next is listed with the last one alone: the overlap."""
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    listed.now += timedelta(hours=1)
    listed.touch("p-00039", name="Last")
    hub.run()
    return listed, hub


@pytest.mark.parametrize(
    ("changed", "pages"), [(0, 1), (8, 1), (9, 1), (10, 2), (14, 2), (19, 3), (24, 4), (39, 5)]
)
def test_changes_of_one_instant_are_not_asked_for_twice(
    synced: tuple[FakeList, Engine], changed: int, pages: int
) -> None:
    """One request counts. Pages of ten; from the second one on, one record of each was read before."""
    listed, hub = synced
    _at_once(listed, _ids(0, changed))
    before = len(listed.asked)
    run = hub.run()
    assert (run["updated"], run["records"]) == (changed, changed + 1)
    assert len(listed.asked) - before == pages + 1
    assert _named(hub) == truth(listed)


def test_changes_of_many_instants_are_asked_for_from_the_last_one(
    synced: tuple[FakeList, Engine],
) -> None:
    listed, hub = synced
    listed.now += timedelta(hours=1)
    for key in _ids(0, 17):
        listed.touch(key, name=f"One by one {key}")
    before = len(listed.asked)
    assert hub.run()["updated"] == 17
    assert len(listed.asked) - before == 1 + 2
    assert _named(hub) == truth(listed)


@pytest.mark.parametrize("moved", [(0,), (4, 5), (0, 8), (9,), (9, 10), (3, 14), tuple(range(9))])
def test_records_that_change_before_the_next_page_are_not_lost(
    synced: tuple[FakeList, Engine], moved: tuple[int, ...]
) -> None:
    """Those that were read leave their places: the page then begins with another than the anchor."""
    listed, hub = synced
    _at_once(listed, _ids(0, 15))

    def meanwhile() -> None:
        for i in moved:
            listed.touch(f"p-{i:05d}", name="Again")

    listed.before_page[_pages(listed) + 2] = meanwhile
    assert hub.run()["state"] == "succeeded"
    assert _named(hub) == truth(listed)
    assert hub.mark() == listed.now


def test_a_record_that_disappears_before_its_page_leaves_no_other_unread(
    synced: tuple[FakeList, Engine],
) -> None:
    listed, hub = synced
    _at_once(listed, _ids(0, 15))
    gone = listed.records["p-00003"]

    def meanwhile() -> None:
        del listed.records["p-00003"]

    listed.before_page[_pages(listed) + 2] = meanwhile
    assert hub.run()["updated"] == 15
    listed.records["p-00003"] = gone
    assert _named(hub) == truth(listed)


def test_a_retry_goes_on_where_the_last_try_stopped(synced: tuple[FakeList, Engine]) -> None:
    listed, hub = synced
    _at_once(listed, _ids(0, 35))

    def fails() -> None:
        raise TransientError("the network is away")

    listed.before_page[_pages(listed) + 3] = fails
    run_id = hub.stages().plan(hub.request())
    with pytest.raises(TransientError):
        hub.stages().fetch(run_id)
    before = _pages(listed)
    hub.stages().fetch(run_id)
    assert _pages(listed) - before == 3
    hub.finish_from(run_id, 1)
    assert _named(hub) == truth(listed)
