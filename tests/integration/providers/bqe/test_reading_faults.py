"""Reading BQE's lists when they misbehave: the faults of the provider and of its clock, at the sandbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from integrations_hub.errors import RateLimited
from tests.kit import mappings
from tests.kit.mappings import default_lines
from tests.kit.sandbox import SandboxProcess
from tests.kit.sandbox_engine import SandboxEngine

PROJECTS = "/api/project"


def _sweep(hub: SandboxEngine) -> dict[str, Any]:
    return hub.run(trigger="manual", mode="sweep")


def _mutate(hub: SandboxEngine, **changes: Any) -> list[str]:
    return list(hub.sandbox.control("POST", "/mutate", changes)["ids"])


def _set(hub: SandboxEngine, ids: list[str], **values: Any) -> None:
    _mutate(hub, updates=[{"id": one, "set": values} for one in ids])


def _absent(hub: SandboxEngine, run: dict[str, Any]) -> dict[str, str]:
    rows = hub.rows(
        "SELECT external_id, verdict FROM hub.sync_absent WHERE run_id = %(r)s", r=run["id"]
    )
    return {row["external_id"]: row["verdict"] for row in rows}


def _matches(hub: SandboxEngine) -> bool:
    truth = hub.sandbox.truth()
    return len(hub.projects()) == truth["loadable"]


def test_everything_is_read_once_and_proved_complete(hub: SandboxEngine) -> None:
    run = hub.run()
    truth = hub.sandbox.truth()
    assert run["state"] in ("succeeded", "succeeded_with_rejects")
    assert (run["rejected"], run["children"]) == (truth["rejected"], truth["children"])
    assert run["verdict"]["state"] == "complete"
    assert run["requests"] == run["pages"] + 3  # two counts and, once, the probe of the filter
    assert _matches(hub)


def test_a_wait_of_a_day_gives_the_lease_back_and_the_run_goes_on_after_it(
    hub: SandboxEngine,
) -> None:
    hub.sandbox.script({"status": 429, "headers": {"Retry-After": "86400"}}, path=PROJECTS, nth=3)
    run_id = hub.stages().plan(hub.request())
    with pytest.raises(RateLimited) as told:
        hub.stages().fetch(run_id)
    assert told.value.retry_after_s is not None
    assert 80_000 < told.value.retry_after_s <= 86_400
    lease = hub.row("SELECT expires_at <= clock_timestamp() AS free FROM hub.integration_lease")
    assert lease["free"]
    hub.database.execute("UPDATE hub.rate_budget SET next_slot = '-infinity', paused_until = '-infinity'")  # fmt: skip
    run = hub.finish_from(run_id, 0)
    assert run["state"] in ("succeeded", "succeeded_with_rejects")
    assert _matches(hub)


def test_busy_on_every_call_keeps_the_pages_read_and_moves_no_mark(hub: SandboxEngine) -> None:
    hub.sandbox.script(
        {"status": 429, "headers": {"Retry-After": "40"}},
        path=PROJECTS,
        contains="page=2",
        count=-1,
    )
    run_id = hub.stages().plan(hub.request())
    with pytest.raises(RateLimited):
        hub.stages().fetch(run_id)
    row = hub.row("SELECT * FROM hub.integration_run WHERE id = %(r)s", r=run_id)
    assert (row["pages"], row["error_code"]) == (1, "RATE_LIMITED")
    hub.database.execute("UPDATE hub.rate_budget SET next_slot = '-infinity', paused_until = '-infinity'")  # fmt: skip
    run = hub.finish_from(run_id, 4)
    assert (run["state"], run["error_code"], hub.mark()) == ("failed", "RATE_LIMITED", None)
    assert hub.projects() == {}


@pytest.mark.parametrize("percent", [0, 60])
def test_a_list_that_shows_less_than_it_should_asks_a_person(
    hub: SandboxEngine, percent: int
) -> None:
    hub.run()
    before = hub.projects()
    hub.sandbox.switch(visible_percent=percent)
    run = _sweep(hub)
    assert (run["state"], run["error_code"]) == ("needs_confirmation", "TOO_MANY_MISSING")
    assert hub.projects() == before


def test_rows_deleted_and_changed_while_pages_are_read_end_right(hub: SandboxEngine) -> None:
    hub.run()
    chosen = sorted(hub.loadable())
    hub.sandbox.script(
        {"mutate_before": {"delete": chosen[:2], "updates": [{"id": chosen[5], "set": {"name": "Meanwhile"}}]}},
        path=PROJECTS,
        contains="page=2",
    )  # fmt: skip
    assert _sweep(hub)["listing"]["attempt"] == 2
    hub.run()
    assert hub.projects()[chosen[5]]["name"] == "Meanwhile"


def test_a_page_that_repeats_stops_the_run(hub: SandboxEngine) -> None:
    hub.sandbox.script({"page_repeat": True}, path=PROJECTS, contains="page=2", count=-1)
    run = hub.run()
    assert (run["state"], run["error_code"], run["pages"]) == ("failed", "PAGING_LOOP", 1)


def test_a_hard_delete_is_found_by_two_sweeps_and_a_404(hub: SandboxEngine) -> None:
    hub.run()
    gone = sorted(hub.loadable())[:3]
    _mutate(hub, delete=gone)
    assert set(_absent(hub, _sweep(hub)).values()) == {"first_miss"}
    hub.sandbox.control("POST", "/requests/reset", {})
    run = _sweep(hub)
    assert _absent(hub, run) == dict.fromkeys(gone, "gone")
    asked = [r["path"] for r in hub.sandbox.requests() if r["path"].startswith(PROJECTS + "/")]
    assert sorted(asked[1:]) == [f"{PROJECTS}/{one}" for one in gone]
    assert run["verdict"]["state"] == "complete"


def test_records_withheld_by_id_are_not_deleted(hub: SandboxEngine) -> None:
    hub.run()
    withheld = sorted(hub.loadable())[:3]
    _mutate(hub, delete=withheld)
    _sweep(hub)
    for one in withheld:
        hub.sandbox.script({"status": 403, "body": "{}"}, path=f"{PROJECTS}/{one}", count=-1)
    run = _sweep(hub)
    assert _absent(hub, run) == dict.fromkeys(withheld, "forbidden")
    assert run["verdict"]["extra"]["ids"] == withheld


def test_nothing_is_gone_while_the_endpoint_by_id_answers_404_to_everything(
    hub: SandboxEngine,
) -> None:
    hub.run()
    _mutate(hub, delete=sorted(hub.loadable())[:2])
    _sweep(hub)
    hub.sandbox.script({"status": 404, "body": "{}"}, path=f"{PROJECTS}/*", count=-1)
    assert set(_absent(hub, _sweep(hub)).values()) == {"unproven"}


def test_a_project_that_gets_a_parent_is_out_of_scope_and_comes_back(hub: SandboxEngine) -> None:
    hub.run()
    parent, moved = sorted(hub.loadable())[:2]
    _set(hub, [moved], parentId=parent)
    run = _sweep(hub)
    assert hub.projects()[moved]["scope"] == "out_of_scope"
    assert run["verdict"]["state"] == "complete"
    _set(hub, [moved], parentId=None)
    _sweep(hub)
    assert hub.projects()[moved]["scope"] == "in_scope"


def test_an_archived_project_is_inactive_frozen_and_comes_back(hub: SandboxEngine) -> None:
    codes = {
        "0": "active",
        "1": "inactive",
        "2": "completed",
    }  # BQE's code for archived is not known
    mappings.save(hub.database, default_lines(status={"source": "status", "values": codes}))
    hub.run()
    one = sorted(key for key, row in hub.projects().items() if row["status"] == "active")[0]
    before = hub.projects()[one]
    _set(hub, [one], status=1, name="Renamed while archived")
    run = hub.run()
    row = hub.projects()[one]
    assert (run["inactivated"], row["status"], row["is_active"]) == (1, "inactive", False)
    assert row["name"] == before["name"]
    _set(hub, [one], status=0)
    run = hub.run()
    row = hub.projects()[one]
    assert (run["revived"], row["status"], row["name"]) == (1, "active", "Renamed while archived")
    assert row["id"] == before["id"]


def test_two_hundred_records_with_one_stamp_cross_page_borders(
    sandbox: SandboxProcess, database_url: str
) -> None:
    sandbox.control("POST", "/reset", {})
    hub = SandboxEngine(database_url, sandbox, page_size=30)
    try:
        hub.run()
        chosen = sorted(hub.loadable())[:100]
        _set(hub, chosen, lastUpdated="2030-01-01T00:00:00", manager="One Stamp")
        sandbox.control("POST", "/clock", {"now": "2030-01-01T00:10:00+00:00"})
        assert hub.run()["state"] == "succeeded"
        assert {hub.projects()[one]["lead"] for one in chosen} == {"One Stamp"}
        assert hub.mark() == datetime(2030, 1, 1)
    finally:
        hub.close()


def test_a_stamp_of_2999_is_applied_and_moves_no_mark(hub: SandboxEngine) -> None:
    hub.run()
    mark = hub.mark()
    one, other = sorted(hub.loadable())[:2]
    _set(hub, [one], lastUpdated="2999-01-01T00:00:00", manager="From the future")
    hub.run()
    assert hub.projects()[one]["lead"] == "From the future"
    assert hub.mark() == mark
    _set(hub, [other], manager="From today")
    hub.run()
    assert hub.projects()[other]["lead"] == "From today"
    assert hub.mark().year < 2999


def test_a_cut_page_of_changes_is_read_again(hub: SandboxEngine) -> None:
    """A page cut after whole records is valid JSON of fewer rows; the count tells."""
    hub.run()
    chosen = sorted(hub.loadable())[:5]
    _set(hub, chosen, manager="Changed")
    hub.sandbox.script({"empty_204": True}, path=PROJECTS, contains="page=1")
    run = hub.run()
    assert (run["state"], run["error_code"]) == ("incomplete", "LISTING_INCOMPLETE")
    hub.run()
    assert {hub.projects()[one]["lead"] for one in chosen} == {"Changed"}
