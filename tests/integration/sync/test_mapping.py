"""A saved mapping in a run: used, out of date, used in part; kept records mapped again without a request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations_hub.errors import MappingStale, NothingKept
from integrations_hub.store.housekeeping import HousekeepingStore, Retention
from tests.kit import mappings
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio, project
from tests.kit.mappings import default_lines, earlier


def _rows(hub: Engine) -> dict[str, dict[str, Any]]:
    """Projects without what differs between two databases or two runs of one."""
    without = ("id", "created_at", "updated_at", "client_sync_policy_state", "external_id")
    return {
        key: {name: value for name, value in row.items() if name not in without}
        for key, row in hub.projects().items()
    }


def test_a_saved_mapping_is_pinned_with_its_version_and_decides_the_values(engine: Any) -> None:
    hub = engine(FakeList(portfolio(3)))
    lines = default_lines(
        name={"source": "name", "also": ["code"], "separator": " / ", "required": True},
        lead={"source": "manager", "case": "upper"},
        notes={"constant": "from BQE"},
        end_date=None,
    )
    mappings.save(hub.database, lines, version=4)
    run = hub.run()
    assert run["plan"]["mapping_version"] == 4
    row = hub.projects()["p-00001"]
    assert (row["name"], row["lead"], row["notes"]) == (
        "Project 1 / 00001",
        "ADA EXAMPLE",
        "from BQE",
    )


def test_a_mapping_out_of_date_blocks_the_run_with_its_reason(engine: Any) -> None:
    hub = engine(FakeList(portfolio(2)))
    mappings.save(hub.database, default_lines(), earlier(extra=["oldName"]))
    with pytest.raises(MappingStale) as stale:
        hub.stages().plan(hub.request())
    sentence = "Mappings out of date; review in Integrations Hub: oldName vanished."
    assert stale.value.message == sentence
    row = hub.row("SELECT state, error_code, error_text FROM hub.integration_run")
    assert row == {"state": "skipped", "error_code": "MAPPING_STALE", "error_text": sentence}
    assert hub.projects() == {}


def test_a_mapping_out_of_date_used_in_part_never_writes_what_it_left_out(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed, onStaleMapping="partial")
    hub.run()
    old = earlier(extra=["oldLead"])
    mappings.save(hub.database, default_lines(lead={"source": "oldLead"}), old)
    hub.database.execute("UPDATE hub.projects SET lead = 'set here'")
    for key in ("p-00000", "p-00001"):
        listed.touch(key, name=f"New {key}", manager="Somebody else")
    run = hub.run()
    assert run["state"] == "succeeded_partial_mapping"
    assert any("lead keep their local values" in warning for warning in run["warnings"])
    projects = hub.projects()
    assert {row["lead"] for row in projects.values()} == {"set here"}
    assert projects["p-00001"]["name"] == "New p-00001"


def test_a_mapping_in_part_that_could_make_no_row_blocks_too(engine: Any) -> None:
    hub = engine(FakeList(portfolio(1)), onStaleMapping="partial")
    lines = default_lines(name={"source": "oldName", "required": True})
    mappings.save(hub.database, lines, earlier(extra=["oldName"]))
    with pytest.raises(MappingStale, match="what is left lacks a line that fills name"):
        hub.stages().plan(hub.request())


NEW = {"lead": {"source": "client", "case": "upper"}, "notes": {"source": "manager"}}


def test_a_remap_equals_a_full_listing_and_asks_nothing(engine: Any) -> None:
    listed = FakeList(portfolio(23, children=6))
    hub = engine(listed)
    hub.run()
    for i in range(5):
        listed.touch(f"p-{i:05d}", name=f"Second {i}", client="Changed")
    hub.run()
    mark = hub.mark()
    mappings.save(hub.database, default_lines(**NEW))
    listed.asked.clear()
    planned = hub.run(trigger="manual", mode="remap", dry_run=True)
    assert (planned["state"], planned["requests"]) == ("planned", 0)
    before = _rows(hub)
    run = hub.run(trigger="manual", mode="remap")
    assert (run["state"], run["requests"], listed.asked) == ("succeeded", 0, [])
    assert hub.mark() == mark
    after = _rows(hub)
    assert before != after
    assert after["p-00001"]["lead"] == "CHANGED"
    again = hub.run(trigger="manual", mode="full")
    assert (again["created"], again["updated"]) == (0, 0)
    assert _rows(hub) == after


def test_a_remap_never_brings_back_an_older_version(engine: Any) -> None:
    """The full listing is the older one of the two that are kept, whatever their page numbers."""
    listed = FakeList(portfolio(12))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00011", name="Newest")
    hub.run()
    hub.run(trigger="manual", mode="remap")
    assert hub.projects()["p-00011"]["name"] == "Newest"


def test_a_remap_says_so_when_the_records_are_gone_or_lack_a_field(engine: Any) -> None:
    hub = engine(FakeList(portfolio(12)))
    with pytest.raises(NothingKept, match="Nothing that"):
        hub.stages().plan(hub.request(trigger="manual", mode="remap"))
    hub.run()
    mappings.save(hub.database, default_lines(lead={"source": "principal"}))
    with pytest.raises(NothingKept, match="principal was not read before"):
        hub.stages().plan(hub.request(trigger="manual", mode="remap"))
    mappings.save(hub.database, default_lines())
    hub.database.execute("DELETE FROM hub.sync_page WHERE page_no = 2")
    with pytest.raises(NothingKept, match="is gone"):
        hub.stages().plan(hub.request(trigger="manual", mode="remap"))


def test_kept_records_go_with_their_time_and_with_a_newer_full_listing(engine: Any) -> None:
    hub = engine(FakeList(portfolio(12)))
    first = hub.run()
    hub.run()
    HousekeepingStore(hub.database).purge()
    assert hub.rows("SELECT 1 FROM hub.sync_body WHERE run_id = %(id)s", id=first["id"])
    newer = hub.run(trigger="manual", mode="full")
    HousekeepingStore(hub.database).purge()
    kept = hub.rows("SELECT DISTINCT run_id FROM hub.sync_body")
    assert kept == [{"run_id": newer["id"]}]
    HousekeepingStore(hub.database, retention=Retention(payload_days=0)).purge()
    assert (
        hub.rows("SELECT run_id FROM hub.sync_body UNION SELECT run_id FROM hub.sync_record") == []
    )


def _later(hub: Engine, listed: FakeList) -> None:
    """Another record changes an hour later, so that the overlap no longer reads the old ones."""
    listed.now += timedelta(hours=1)
    listed.touch("p-00000", name="An hour later")
    hub.run()


def test_a_quarantined_record_is_tried_again_when_the_mapping_changes(engine: Any) -> None:
    records = [*portfolio(12), project(50, startDate="31.12.2026")]
    listed = FakeList(records)
    hub = engine(listed)
    assert hub.run()["rejected"] == 1
    _later(hub, listed)
    held = "SELECT attempts, resolved_at IS NOT NULL AS left FROM hub.quarantine"
    waiting = hub.row(held)
    assert hub.run()["rejected"] == 0  # nothing changed: it is not tried again and again
    assert hub.row(held) == waiting
    mappings.save(hub.database, default_lines(start_date=None))
    run = hub.run()
    assert (run["state"], run["created"]) == ("succeeded", 1)
    assert hub.projects()["p-00050"]["name"] == "Project 50"
    assert hub.row(held) == {**waiting, "left": True}


def test_an_older_quarantined_version_never_overwrites_a_newer_one(engine: Any) -> None:
    listed = FakeList([*portfolio(3), project(50, startDate="31.12.2026")])
    listed.filter_hides = {"p-00000"}  # keeps the server-side filter off
    hub = engine(listed)
    hub.run()
    listed.touch("p-00050", name="Newer", parentId="p-00001")
    hub.run()
    _later(hub, listed)
    mappings.save(hub.database, default_lines(start_date=None))
    hub.run()
    assert "p-00050" not in hub.projects()  # its newest version is a child
