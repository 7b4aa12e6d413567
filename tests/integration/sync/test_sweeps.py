"""What a sweep concludes from absence (very little), and the verdict that full runs and sweeps end with."""

from __future__ import annotations

from typing import Any

import pytest

from integrations_hub.errors import RateLimited
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio


def _sweep(hub: Engine, **params: Any) -> dict[str, Any]:
    return hub.run(trigger="manual", mode="sweep", **params)


def _absent(hub: Engine, run: dict[str, Any]) -> dict[str, str]:
    rows = hub.rows("SELECT external_id, verdict FROM hub.sync_absent WHERE run_id = %(id)s", id=run["id"])  # fmt: skip
    return {row["external_id"]: row["verdict"] for row in rows}


def _missing(hub: Engine) -> dict[str, int]:
    rows = hub.rows(
        "SELECT external_id, missing_sweeps FROM hub.integration_external_link WHERE missing_sweeps > 0"
    )
    return {row["external_id"]: row["missing_sweeps"] for row in rows}


def _synced(engine: Any, roots: int = 30, **options: Any) -> tuple[Engine, FakeList]:
    listed = FakeList(portfolio(roots))
    hub = engine(listed, **options)
    hub.run()
    return hub, listed


def test_a_deleted_record_is_looked_up_only_after_it_was_missing_twice(engine: Any) -> None:
    hub, listed = _synced(engine)
    del listed.records["p-00003"]
    first = _sweep(hub)
    assert _absent(hub, first) == {"p-00003": "first_miss"}
    assert listed.looked_up == []
    assert (first["verdict"]["state"], first["verdict"]["extra"]["ids"]) == (
        "incomplete",
        ["p-00003"],
    )
    second = _sweep(hub)
    assert _absent(hub, second) == {"p-00003": "gone"}
    assert listed.looked_up == ["p-00000", "p-00003"]  # one that is listed shows that look-ups work
    assert second["verdict"]["state"] == "complete"
    link = hub.row("SELECT * FROM hub.integration_external_link WHERE external_id = 'p-00003'")
    assert (link["missing_sweeps"], link["gone_at"] is None) == (2, False)
    third = _sweep(hub)
    assert _absent(hub, third) == {}
    assert third["verdict"]["state"] == "complete"


@pytest.mark.parametrize("said", ["forbidden", "present", "child", "unproven"])
def test_a_record_that_is_withheld_or_there_by_id_is_not_gone(engine: Any, said: str) -> None:
    hub, listed = _synced(engine)
    listed.hidden = {"p-00003"}
    listed.says = {"p-00003": said}
    _sweep(hub)
    second = _sweep(hub)
    assert _absent(hub, second) == {"p-00003": said}
    assert (
        hub.row("SELECT count(*) AS n FROM hub.integration_external_link WHERE gone_at IS NOT NULL")["n"] == 0
    )  # fmt: skip
    left = [] if said == "child" else ["p-00003"]  # a child is out of scope, and no longer expected
    assert second["verdict"]["extra"]["ids"] == left


def test_a_record_that_is_listed_again_starts_from_nothing(engine: Any) -> None:
    hub, listed = _synced(engine)
    kept = listed.records.pop("p-00003")
    _sweep(hub)
    _sweep(hub)
    assert _missing(hub) == {"p-00003": 2}
    listed.records["p-00003"] = kept
    run = _sweep(hub)
    assert _missing(hub) == {}
    assert run["verdict"]["state"] == "complete"
    assert hub.rows("SELECT 1 FROM hub.integration_external_link WHERE gone_at IS NOT NULL") == []


def test_nothing_is_concluded_while_look_ups_by_id_do_not_work(engine: Any) -> None:
    hub, listed = _synced(engine)
    del listed.records["p-00003"]
    _sweep(hub)
    listed.says = {"p-00000": "gone"}  # 404 for a record that was just listed
    run = _sweep(hub)
    assert _absent(hub, run) == {"p-00003": "unproven"}
    assert any("looked up" in warning for warning in run["warnings"])


def test_too_much_missing_is_told_before_what_a_plan_would_change(engine: Any) -> None:
    hub, listed = _synced(engine)
    hub.change_rule(guard={"maxChangedPercent": 5})
    listed.hidden = {f"p-{i:05d}" for i in range(11)}
    for n in range(20, 25):
        listed.touch(f"p-{n:05d}", name="Renamed")
    run = _sweep(hub)
    assert (run["state"], run["error_code"]) == ("needs_confirmation", "TOO_MANY_MISSING")


@pytest.mark.parametrize(
    ("roots", "hidden"),
    [(30, 30), (30, 11), (400, 21), (3, 3)],
    ids=["empty list", "more than ten", "more than 5 percent", "empty small list"],
)
def test_too_much_missing_asks_a_person_and_looks_nothing_up(
    engine: Any, roots: int, hidden: int
) -> None:
    hub, listed = _synced(engine, roots, page_size=100)
    before = hub.rows("SELECT * FROM hub.projects ORDER BY id")
    mark = hub.mark()
    listed.hidden = {f"p-{i:05d}" for i in range(hidden)}
    for _ in range(2):
        run = _sweep(hub)
        assert (run["state"], run["error_code"]) == ("needs_confirmation", "TOO_MANY_MISSING")
        assert set(_absent(hub, run).values()) == {"too_many_missing"}
        assert run["verdict"]["extra"]["count"] == hidden
    assert listed.looked_up == []
    assert hub.rows("SELECT * FROM hub.projects ORDER BY id") == before
    assert (hub.mark(), _missing(hub)) == (mark, {})
    listed.hidden = set()
    assert _sweep(hub)["verdict"]["state"] == "complete"


@pytest.mark.parametrize(("roots", "hidden"), [(30, 10), (400, 20)])
def test_up_to_the_limit_is_looked_up(engine: Any, roots: int, hidden: int) -> None:
    hub, listed = _synced(engine, roots, page_size=100)
    listed.hidden = {f"p-{i:05d}" for i in range(hidden)}
    assert _sweep(hub)["state"] == "succeeded"
    run = _sweep(hub)
    assert _absent(hub, run) == dict.fromkeys(listed.hidden, "present")
    assert run["verdict"]["extra"]["count"] == hidden


def test_a_held_run_writes_nothing_of_what_else_it_read(engine: Any) -> None:
    hub, listed = _synced(engine)
    listed.hidden = {f"p-{i:05d}" for i in range(15)}
    listed.touch("p-00020", name="not yet")
    run = _sweep(hub)
    assert run["state"] == "needs_confirmation"
    assert hub.projects()["p-00020"]["name"] == "Project 20"
    assert hub.row("SELECT count(*) AS n FROM hub.sync_change WHERE run_id = %(r)s", r=run["id"])["n"] == 1  # fmt: skip


def test_a_sweep_that_never_stands_still_counts_nothing(engine: Any) -> None:
    hub, listed = _synced(engine)
    del listed.records["p-00003"]

    def keep_moving() -> None:
        listed.add(id=f"new-{len(listed.asked)}")
        listed.before_page[sum(k == "page" for k, _, _ in listed.asked) + 1] = keep_moving

    listed.before_page[sum(k == "page" for k, _, _ in listed.asked) + 1] = keep_moving
    run = _sweep(hub)
    assert (run["state"], run["verdict"]["state"]) == ("incomplete", "incomplete")
    assert (_missing(hub), _absent(hub, run)) == ({}, {})


def test_a_dry_sweep_and_a_full_run_count_nothing(engine: Any) -> None:
    hub, listed = _synced(engine)
    del listed.records["p-00003"]
    assert _sweep(hub, dry_run=True)["state"] == "planned"
    full = hub.run(trigger="manual", mode="full")
    assert full["verdict"]["extra"]["ids"] == ["p-00003"]
    assert _missing(hub) == {}


def test_look_ups_go_on_where_they_were_interrupted(engine: Any) -> None:
    hub, listed = _synced(engine)
    for i in range(5):
        del listed.records[f"p-{i:05d}"]
    _sweep(hub)
    run_id = hub.stages().plan(hub.request("manual", mode="sweep"))
    answer = listed.presence

    def busy(external_id: str) -> str:
        if len(listed.looked_up) == 3:
            raise RateLimited("busy", retry_after_s=1)
        return answer(external_id)

    listed.presence = busy  # type: ignore[method-assign]
    with pytest.raises(RateLimited):
        hub.stages().fetch(run_id)
    listed.presence = answer  # type: ignore[method-assign]
    assert hub.finish_from(run_id, 0)["state"] == "succeeded"
    gone = [external_id for external_id in listed.looked_up if external_id != "p-00005"]
    assert gone == [f"p-{i:05d}" for i in range(5)]


def test_a_sweep_reads_past_the_parent_filter_and_switches_it_off_when_it_hides_a_root(
    engine: Any,
) -> None:
    listed = FakeList(portfolio(12, children=8))
    hub = engine(listed)
    hub.run()
    probe = "SELECT filter_probes #>> '{projects,verified}' AS ok FROM hub.integration_connection"
    assert hub.row(probe)["ok"] == "true"
    listed.filter_hides = {"p-00004"}
    assert hub.run(trigger="manual", mode="full")["verdict"]["extra"]["ids"] == ["p-00004"]
    run = _sweep(hub)
    assert (run["records"], run["verdict"]["state"]) == (20, "complete")
    assert hub.row(probe)["ok"] == "false"


def test_a_project_below_another_is_out_of_scope_and_no_longer_expected(engine: Any) -> None:
    hub, listed = _synced(engine)
    listed.touch("p-00003", parentId="p-00001")
    run = _sweep(hub)
    assert hub.projects()["p-00003"]["scope"] == "out_of_scope"
    assert (run["verdict"]["state"], _absent(hub, run)) == ("complete", {})


def test_the_verdict_is_kept_and_the_last_proof_shown(engine: Any) -> None:
    hub, listed = _synced(engine)
    run = _sweep(hub)
    assert run["verdict"] == {
        "state": "complete",
        "listed": 30,
        "missing": {"count": 0, "ids": []},
        "extra": {"count": 0, "ids": []},
    }
    shown = hub.row("SELECT * FROM hub.hub_v_completeness")
    assert (shown["proven_by"], shown["proven_at"]) == (run["id"], shown["last_sweep_at"])
    del listed.records["p-00009"]
    _sweep(hub)
    assert hub.row("SELECT proven_by FROM hub.hub_v_completeness")["proven_by"] == run["id"]


def test_a_record_without_a_link_that_the_plan_forgot_is_missing(engine: Any) -> None:
    hub, _ = _synced(engine)
    run_id = hub.stages().plan(hub.request("manual", mode="sweep"))
    for stage in ("fetch", "filter_parents", "map_fields", "upsert"):
        getattr(hub.stages(), stage)(run_id)
    hub.database.execute("DELETE FROM hub.integration_external_link WHERE external_id = 'p-00007'")
    run = hub.finish_from(run_id, 4)
    assert run["verdict"]["missing"] == {"count": 1, "ids": ["p-00007"]}


def test_a_quarantined_record_is_not_missing(engine: Any) -> None:
    records = portfolio(6)
    records[2]["name"] = None
    hub = engine(FakeList(records))
    assert hub.run()["verdict"]["state"] == "complete"


def test_records_before_the_seed_of_a_rule_are_not_missing(engine: Any) -> None:
    listed = FakeList(portfolio(20))
    hub = engine(
        listed, initialSyncMode="delta_only_after_date", initialSyncSince="2026-03-01T08:00:10Z"
    )
    run = hub.run()
    assert (run["plan"]["listing"], run["created"]) == ("incremental", 10)
    run = hub.run(trigger="manual", mode="sweep", dry_run=False)
    assert run["verdict"]["missing"]["count"] == 0
