"""A whole run, stage by stage, on a real database: what is written, what is left alone, what moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations_hub.errors import LeaseHeld, RuleDisabled, RunMustWait
from tests.kit.engine import Engine, truth
from tests.kit.fake_list import EPOCH, FakeList, portfolio, project


def _named(engine: Engine) -> dict[str, tuple[Any, ...]]:
    return {
        key: (row["name"], row["project_number"], row["client"])
        for key, row in engine.projects().items()
    }


def test_the_first_run_creates_every_root_and_no_child(engine: Any) -> None:
    listed = FakeList(portfolio(23, children=9))
    hub = engine(listed)
    run = hub.run()
    assert run["state"] == "succeeded"
    assert (run["created"], run["children"], run["records"]) == (23, 9, 32)
    assert _named(hub) == truth(listed)


def test_a_full_listing_asks_for_its_pages_two_counts_and_one_probe(engine: Any) -> None:
    hub = engine(FakeList(portfolio(20)))
    run = hub.run()
    assert run["pages"] == 2
    assert run["requests"] == 2 + 2 + 1


def test_an_unchanged_portfolio_writes_no_project_and_no_link(engine: Any) -> None:
    hub = engine(FakeList(portfolio(15, children=4)))
    hub.run()
    before = hub.rows("SELECT xmin, ctid, * FROM hub.projects ORDER BY id")
    links = hub.rows("SELECT xmin, ctid, * FROM hub.integration_external_link ORDER BY id")
    run = hub.run(trigger="manual", mode="full")
    assert (run["created"], run["updated"], run["unchanged"]) == (0, 0, 15)
    assert hub.rows("SELECT xmin, ctid, * FROM hub.projects ORDER BY id") == before
    assert hub.rows("SELECT xmin, ctid, * FROM hub.integration_external_link ORDER BY id") == links


def test_an_incremental_run_reads_from_the_mark_and_updates_what_changed(engine: Any) -> None:
    listed = FakeList(portfolio(1000))
    hub = engine(listed, page_size=100)
    hub.run()
    mark = hub.mark()
    assert mark == EPOCH + timedelta(seconds=999)
    for key in ("p-00003", "p-00500"):
        listed.touch(key, name=f"Renamed {key}")
    run = hub.run()
    assert run["plan"]["listing"] == "incremental"
    assert (run["created"], run["updated"]) == (0, 2)
    assert run["records"] < 400  # the overlap of 300 s and the two changes, not the whole list
    assert _named(hub) == truth(listed)
    assert hub.mark() == listed.now


def test_the_mark_of_a_full_listing_never_passes_the_providers_clock_at_its_start(
    engine: Any,
) -> None:
    """A record of page 1 changes after page 1 was read, another one later: neither may be jumped over."""
    listed = FakeList(portfolio(30))
    hub = engine(listed)
    started = listed.now

    def meanwhile() -> None:
        listed.touch("p-00001", name="changed behind our back")
        listed.touch("p-00029", name="changed before we came")

    listed.before_page[3] = meanwhile
    hub.run()
    assert hub.mark() <= started
    hub.run()
    assert _named(hub) == truth(listed)


def test_rows_that_change_between_incremental_pages_are_not_lost(engine: Any) -> None:
    """The naive listing (page 2 of the old query) skips rows here: they move up when others leave."""
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    for i in range(40):
        listed.touch(f"p-{i:05d}", name=f"Second name {i}")
    pages_so_far = sum(kind == "page" for kind, _, _ in listed.asked)

    def meanwhile() -> None:
        for i in range(8):
            listed.touch(f"p-{i:05d}", name=f"Third name {i}")

    listed.before_page[pages_so_far + 2] = meanwhile
    run = hub.run()
    assert run["state"] == "succeeded"
    assert _named(hub) == truth(listed)


def test_a_page_full_of_one_stamp_is_read_to_its_end(engine: Any) -> None:
    listed = FakeList(portfolio(35))
    hub = engine(listed)
    hub.run()
    listed.now += timedelta(hours=1)
    for record in listed.records.values():
        record.update(name=f"Bulk {record['id']}", lastUpdated=listed.now.isoformat())
    assert hub.run()["updated"] == 35
    assert _named(hub) == truth(listed)


def test_a_full_list_that_moves_is_read_again_and_ends_right(engine: Any) -> None:
    listed = FakeList(portfolio(30))
    hub = engine(listed)

    def meanwhile() -> None:
        del listed.records["p-00000"]  # every later row moves up one place

    listed.before_page[2] = meanwhile
    run = hub.run()
    assert run["listing"]["attempt"] == 2
    assert _named(hub) == truth(listed)


def test_a_full_list_that_never_stands_still_ends_incomplete_and_writes_nothing(
    engine: Any,
) -> None:
    listed = FakeList(portfolio(30))
    hub = engine(listed)

    def keep_moving() -> None:
        listed.add(name="yet another")
        listed.before_page[sum(k == "page" for k, _, _ in listed.asked) + 1] = keep_moving

    listed.before_page[1] = keep_moving
    run = hub.run()
    assert run["state"] == "incomplete"
    assert hub.projects() == {}
    assert hub.mark() is None


def test_a_provider_that_caps_its_pages_loses_nothing(engine: Any) -> None:
    listed = FakeList(portfolio(50))
    listed.page_cap = 7
    hub = engine(listed)
    hub.run()
    assert _named(hub) == truth(listed)
    for i in range(30):
        listed.touch(f"p-{i:05d}", name=f"Again {i}")
    hub.run()
    assert _named(hub) == truth(listed)


def test_the_parent_filter_is_used_only_after_a_full_listing_proved_it(engine: Any) -> None:
    listed = FakeList(portfolio(12, children=8))
    hub = engine(listed)
    assert hub.run()["children"] == 8
    assert hub.run()["records"] == 12
    assert all(query.parent_only for kind, query, _ in listed.asked[-1:])


def test_a_parent_filter_that_hides_a_root_is_never_used(engine: Any) -> None:
    listed = FakeList(portfolio(12, children=8))
    listed.filter_hides = {"p-00004"}
    hub = engine(listed)
    hub.run()
    listed.touch("p-00004", name="hidden by the filter")
    hub.run()
    assert _named(hub) == truth(listed)
    probe = hub.row("SELECT filter_probes FROM hub.integration_connection")["filter_probes"][
        "projects"
    ]
    assert probe["verified"] is False
    assert "switched off" in probe["note"]


def test_a_child_is_dropped_even_when_the_filter_let_it_through(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    listed.records["p-00002"]["parentId"] = None
    listed.add(id="sneaky", parentId="p-00001")
    hidden = listed._rows
    listed._rows = lambda query: hidden(  # type: ignore[method-assign]
        type(query)(query.fields, query.by_stamp, query.since, query.until, parent_only=False)
    )
    run = hub.run()
    assert "sneaky" not in hub.projects()
    assert any("let 1 children through" in warning for warning in run["warnings"])


def test_a_project_that_gets_a_parent_is_kept_out_of_scope_and_comes_back(engine: Any) -> None:
    listed = FakeList(portfolio(4, children=1))
    listed.filter_hides = {"p-00000"}  # keeps the server-side filter off
    hub = engine(listed)
    hub.run()
    listed.touch("p-00002", parentId="p-00001", name="must not arrive")
    hub.run()
    row = hub.projects()["p-00002"]
    assert (row["scope"], row["name"]) == ("out_of_scope", "Project 2")
    listed.touch("p-00002", parentId=None)
    hub.run()
    row = hub.projects()["p-00002"]
    assert (row["scope"], row["name"]) == ("in_scope", "must not arrive")


def test_a_bad_record_waits_in_quarantine_and_the_rest_is_loaded(engine: Any) -> None:
    records = portfolio(6)
    records[2]["name"] = None
    records[4]["name"] = "nul \0 inside"
    listed = FakeList(records)
    hub = engine(listed)
    run = hub.run()
    assert run["state"] == "succeeded_with_rejects"
    assert (run["created"], run["rejected"]) == (4, 2)
    held = hub.rows("SELECT external_id, code, pointer FROM hub.quarantine ORDER BY external_id")
    assert [(r["external_id"], r["code"], r["pointer"]) for r in held] == [
        ("p-00002", "MISSING_VALUE", "/name"),
        ("p-00004", "BAD_CHARACTER", "/name"),
    ]
    listed.touch("p-00002", name="mended")
    hub.run()
    assert hub.projects()["p-00002"]["name"] == "mended"
    assert hub.row("SELECT resolved_at FROM hub.quarantine WHERE external_id = 'p-00002'")[
        "resolved_at"
    ]


def test_a_record_without_an_id_is_quarantined(engine: Any) -> None:
    listed = FakeList([*portfolio(3), project(9, id="")])
    listed.records[""]["id"] = None
    hub = engine(listed)
    run = hub.run()
    assert (run["created"], run["rejected"]) == (3, 1)


def test_an_unknown_status_keeps_the_local_value_and_warns(engine: Any) -> None:
    records = portfolio(2)
    records[1]["status"] = 9
    listed = FakeList(records)
    hub = engine(listed)
    run = hub.run()
    assert hub.projects()["p-00001"]["status"] == "active"
    assert any("status" in warning for warning in run["warnings"])
    link = hub.row(
        "SELECT raw_status FROM hub.integration_external_link WHERE external_id = 'p-00001'"
    )
    assert link["raw_status"] == "9"


@pytest.mark.parametrize(
    ("policy", "after_local_edit", "untouched"),
    [
        ("preserve_local", "Edited here", "New name"),
        ("follow_bqe", "New name", "New name"),
        ("write_once", "Edited here", "Client 1"),
    ],
)
def test_the_client_policy_decides_against_the_row_as_it_is(
    engine: Any, policy: str, after_local_edit: str, untouched: str
) -> None:
    listed = FakeList([project(1), project(8)])
    hub = engine(listed, clientSyncPolicy=policy)
    hub.run()
    hub.database.execute(
        "UPDATE hub.projects SET client = 'Edited here' WHERE project_number = '00001'"
    )
    for key in ("p-00001", "p-00008"):
        listed.touch(key, client="New name")
    hub.run()
    projects = hub.projects()
    assert projects["p-00001"]["client"] == after_local_edit
    assert projects["p-00008"]["client"] == untouched
    assert projects["p-00001"]["bqe_client_name"] == "New name"
    assert projects["p-00001"]["client_sync_policy_state"]["policy"] == policy


def test_an_edit_made_after_the_plan_of_changes_is_not_overwritten(engine: Any) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", client="From the provider")
    run_id = hub.stages().plan(hub.request())
    for stage in ("fetch", "filter_parents", "map_fields"):
        getattr(hub.stages(), stage)(run_id)
    hub.database.execute(
        "UPDATE hub.projects SET client = 'Just now' WHERE project_number = '00001'"
    )
    hub.finish_from(run_id, 3)
    row = hub.projects()["p-00001"]
    assert (row["client"], row["bqe_client_name"]) == ("Just now", "From the provider")
    assert row["client_sync_policy_state"]["diverged"] is True


def test_an_unlinked_project_with_the_same_number_goes_to_review(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    hub.database.execute("INSERT INTO hub.projects (name, project_number) VALUES ('Mine', '00001')")
    run = hub.run()
    assert (run["created"], run["review"]) == (1, 1)
    assert "p-00001" not in hub.projects()


def test_a_dry_run_plans_the_changes_and_writes_none(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    run = hub.run(trigger="manual", dry_run=True)
    assert run["state"] == "planned"
    assert hub.projects() == {}
    assert hub.mark() is None
    assert hub.row("SELECT count(*) AS n FROM hub.sync_change")["n"] == 5


def test_the_view_of_changes_tells_each_image_by_column(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", name="Renamed")
    run = hub.run()
    change = hub.row("SELECT * FROM hub.hub_v_change WHERE run_id = %(id)s", id=run["id"])
    assert (change["action"], change["external_id"]) == ("update", "p-00001")
    assert (change["before"]["name"], change["after"]["name"]) == ("Project 1", "Renamed")
    assert change["before"]["project_number"] == change["after"]["project_number"] == "00001"
    created = hub.row("SELECT * FROM hub.hub_v_change WHERE action = 'create' ORDER BY seq LIMIT 1")
    assert created["before"] is None
    assert created["local_id"] == hub.projects()["p-00000"]["id"]


def test_a_window_run_reads_its_interval_and_leaves_the_mark(engine: Any) -> None:
    listed = FakeList(portfolio(100))
    hub = engine(listed)
    hub.run()
    mark = hub.mark()
    run = hub.run(
        trigger="backfill",
        since=EPOCH + timedelta(seconds=10),
        until=EPOCH + timedelta(seconds=19),
    )
    assert (run["state"], run["records"]) == ("succeeded", 10)
    assert hub.mark() == mark


def test_a_future_stamp_is_applied_but_does_not_move_the_mark(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    listed.records["p-00003"].update(name="From 2999", lastUpdated="2999-01-01T00:00:00")
    listed.touch("p-00001", name="Today")
    hub.run()
    assert hub.projects()["p-00003"]["name"] == "From 2999"
    assert hub.mark() == listed.now


def test_a_disabled_rule_is_refused_and_the_row_says_so(engine: Any) -> None:
    from integrations_hub.store.rules import PostgresRuleStore

    hub = engine(FakeList(portfolio(1)))
    PostgresRuleStore(hub.database).set_enabled(hub.rule.id, False, actor="t", request_id=None)
    with pytest.raises(RuleDisabled):
        hub.stages().plan(hub.request())
    assert hub.row("SELECT state, error_code FROM hub.integration_run")["state"] == "skipped"


def test_a_scheduled_run_skips_and_an_asked_for_run_waits_while_the_lease_is_held(
    engine: Any,
) -> None:
    hub = engine(FakeList(portfolio(3)))
    holder = hub.stages().plan(hub.request())
    with pytest.raises(LeaseHeld, match=f"run {holder} holds it"):
        hub.stages().plan(hub.request())
    waiting = hub.request(trigger="manual")
    with pytest.raises(RunMustWait):
        hub.stages().plan(waiting)
    assert hub.finish_from(holder, 0)["state"] == "succeeded"
    run_id = hub.stages().plan(waiting)
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
