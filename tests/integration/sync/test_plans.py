"""Plans that a person answers, and runs that are taken back: exactly that plan, and nothing that anybody touched since."""

from __future__ import annotations

from typing import Any

import pytest

from integrations_hub.errors import ConflictingChange, NotFound, PlanUnusable
from integrations_hub.store.housekeeping import HousekeepingStore
from integrations_hub.store.plans import PostgresPlanStore
from tests.kit.fake_list import FakeList, portfolio, project


def _state(hub: Any) -> dict[str, tuple[Any, ...]]:
    """What a sync decides, without the times at which it did."""
    return {
        key: (
            p["id"],
            p["project_number"],
            p["name"],
            p["client"],
            p["status"],
            p["scope"],
            p["bqe_client_name"],
            p["lead"],
        )
        for key, p in hub.projects().items()
    }


def _apply(hub: Any, plan: dict[str, Any], seqs: list[int] | None = None) -> dict[str, Any]:
    PostgresPlanStore(hub.database).answer(plan["id"], seqs, actor="admin", request_id=None)
    return hub.run(trigger="manual", apply_run_id=plan["id"])  # type: ignore[no-any-return]


def _listed(count: int) -> FakeList:
    """Its server-side parent filter proves unreliable, so that re-parented records are seen at once."""
    listed = FakeList(portfolio(count))
    listed.filter_hides = {f"p-{count - 1:05d}"}
    return listed


def _change(hub: Any, listed: FakeList) -> None:
    """One of each kind of change at the provider."""
    listed.touch("p-00000", name="Renamed")
    listed.touch("p-00001", client="Other client")
    listed.touch("p-00002", status=2)
    listed.touch("p-00003", parentId="p-00000")
    listed.add(name="New one")


def test_a_dry_run_applied_later_is_what_a_direct_sync_would_have_done(engine: Any) -> None:
    listed = _listed(12)
    hub = engine(listed)
    hub.run()
    _change(hub, listed)
    plan = hub.run(dry_run=True)
    assert plan["state"] == "planned"
    before = _state(hub)
    mark = hub.mark()
    listed.requests = 0
    run = _apply(hub, plan)
    assert listed.requests == 0
    assert (run["state"], run["updated"], run["created"], run["out_of_scope"]) == (
        "succeeded",
        3,
        1,
        1,
    )
    assert hub.mark() == plan["mark_to"] > mark
    planned = _state(hub)
    assert planned != before
    after = hub.run()
    assert (after["created"], after["updated"], after["drifted"]) == (0, 0, 0)
    assert _state(hub) == planned


def test_only_the_approved_rows_are_applied_and_the_rest_comes_again(engine: Any) -> None:
    listed = FakeList(portfolio(6))
    hub = engine(listed, approvePlan=True)
    first = hub.run()
    assert (first["state"], first["error_code"]) == ("needs_confirmation", "APPROVAL_REQUIRED")
    assert hub.projects() == {}
    rows = hub.rows(
        "SELECT seq, external_id FROM hub.sync_change WHERE run_id = %(id)s ORDER BY seq",
        id=first["id"],
    )
    chosen = [row["seq"] for row in rows[:4]]
    run = _apply(hub, first, chosen)
    assert run["created"] == 4
    assert set(hub.projects()) == {row["external_id"] for row in rows[:4]}
    assert hub.mark() is None  # two rows were left: they must be read again
    again = hub.run()
    assert again["state"] == "needs_confirmation"
    _apply(hub, again)
    assert len(hub.projects()) == 6
    assert hub.mark() == again["mark_to"]
    assert hub.run()["state"] == "succeeded"  # nothing to write asks nobody


def test_a_row_that_moved_since_is_drifted_and_never_overwritten(engine: Any) -> None:
    listed = FakeList(portfolio(5))
    hub = engine(listed)
    hub.run()
    ids = {key: row["id"] for key, row in hub.projects().items()}
    for n in range(4):
        listed.touch(f"p-{n:05d}", name=f"Renamed {n}")
    plan = hub.run(dry_run=True)
    hub.database.execute(
        "UPDATE hub.projects SET notes = 'mine' WHERE id = %(id)s", {"id": ids["p-00001"]}
    )
    hub.database.execute("DELETE FROM hub.projects WHERE id = %(id)s", {"id": ids["p-00002"]})
    mark = hub.mark()
    run = _apply(hub, plan)
    assert (run["state"], run["updated"], run["drifted"]) == ("succeeded", 2, 2)
    drifted = hub.rows(
        "SELECT external_id FROM hub.sync_change WHERE run_id = %(id)s AND outcome = 'drifted' ORDER BY 1",
        id=run["id"],
    )
    assert [row["external_id"] for row in drifted] == ["p-00001", "p-00002"]
    assert hub.projects()["p-00001"]["name"] == "Project 1"
    assert hub.projects()["p-00001"]["notes"] == "mine"
    assert hub.mark() == mark
    assert any("2 drifted" in warning for warning in run["warnings"])


def test_a_create_whose_number_somebody_took_meanwhile_is_drifted(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    plan = hub.run(dry_run=True)
    hub.database.execute("INSERT INTO hub.projects (name, project_number) VALUES ('Ours', '00001')")
    run = _apply(hub, plan)
    assert (run["created"], run["drifted"]) == (1, 1)
    assert hub.row("SELECT count(*) AS n FROM hub.projects")["n"] == 2


def test_a_plan_is_applied_once_and_never_after_a_newer_one(engine: Any) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed)
    old, new = hub.run(dry_run=True), hub.run(dry_run=True)
    with pytest.raises(PlanUnusable, match="newer plan"):
        _apply(hub, old)
    assert _apply(hub, new)["created"] == 3
    with pytest.raises(PlanUnusable, match="applied it already"):
        _apply(hub, new)
    assert len(hub.projects()) == 3


def test_the_first_answer_stands_and_only_listed_rows_can_be_approved(engine: Any) -> None:
    hub = engine(FakeList(portfolio(3)))
    plan = hub.run(dry_run=True)
    plans = PostgresPlanStore(hub.database)
    with pytest.raises(NotFound, match="no change 99"):
        plans.answer(plan["id"], [1, 99], actor="admin", request_id=None)
    plans.answer(plan["id"], [2, 1], actor="admin", request_id=None)
    plans.answer(plan["id"], [1, 2, 2], actor="admin", request_id=None)
    with pytest.raises(ConflictingChange, match="another selection"):
        plans.answer(plan["id"], None, actor="other", request_id=None)
    entries = hub.rows("SELECT detail FROM hub.audit_log WHERE action = 'plan.approved'")
    assert [entry["detail"] for entry in entries] == [{"run_id": plan["id"], "changes": 2}]


def test_a_plan_beyond_the_limits_writes_nothing_until_it_is_approved(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    hub.change_rule(guard={"maxChangedPercent": 5})
    for n in range(4):
        listed.touch(f"p-{n:05d}", name=f"Renamed {n}")
    before, mark = _state(hub), hub.mark()
    held = hub.run()
    assert (held["state"], held["error_code"]) == ("needs_confirmation", "BLAST_RADIUS")
    assert "4 would change (limit 5 % of 40)" in held["error_text"]
    assert (_state(hub), hub.mark()) == (before, mark)
    run = _apply(hub, held)
    assert (run["state"], run["updated"]) == ("succeeded", 4)
    assert hub.mark() == held["mark_to"]


def test_a_hold_of_an_earlier_try_does_not_stay(engine: Any) -> None:
    listed = FakeList(portfolio(40))
    hub = engine(listed)
    hub.run()
    hub.change_rule(guard={"maxChangedPercent": 5})
    for n in range(4):
        listed.touch(f"p-{n:05d}", name="Renamed")
    stages = hub.stages()
    run_id = stages.plan(hub.request())
    for name in ("fetch", "filter_parents", "map_fields"):
        getattr(stages, name)(run_id)
    held = hub.rows("SELECT listing -> 'hold' ->> 'code' AS code FROM hub.integration_run WHERE id = %(id)s", id=run_id)  # fmt: skip
    assert held[0]["code"] == "BLAST_RADIUS"
    hub.database.execute(
        "UPDATE hub.projects SET name = 'Renamed' WHERE project_number IN ('00000', '00001')"
    )
    stages.map_fields(run_id)
    run = hub.finish_from(run_id, 3)
    assert (run["state"], run["updated"]) == ("succeeded", 2)


def test_an_undone_run_restores_every_value_that_nobody_touched(engine: Any) -> None:
    listed = _listed(8)
    hub = engine(listed)
    hub.run()
    before = _state(hub)
    _change(hub, listed)
    run = hub.run()
    assert _state(hub) != before
    undo = hub.run(trigger="manual", undo_run_id=run["id"])
    assert (undo["state"], undo["removed"], undo["review"]) == ("succeeded", 1, 0)
    assert _state(hub) == before


def test_undo_keeps_what_a_person_or_a_later_run_changed_and_lists_it(engine: Any) -> None:
    listed = FakeList(portfolio(4))
    hub = engine(listed)
    hub.run()
    for n in range(3):
        listed.touch(f"p-{n:05d}", name=f"Renamed {n}", manager=f"Lead {n}")
    listed.add(id="p-new", name="New", code="NEW")
    run = hub.run()
    listed.touch("p-00001", name="Renamed later")
    hub.run()
    hub.database.execute("UPDATE hub.projects SET name = 'By hand' WHERE name = 'Renamed 0'")
    hub.database.execute("UPDATE hub.projects SET notes = 'touched' WHERE name = 'New'")
    undo = hub.run(trigger="manual", undo_run_id=run["id"])
    now = hub.projects()
    assert (now["p-00000"]["name"], now["p-00000"]["lead"]) == ("By hand", "Ada Example")
    assert (now["p-00001"]["name"], now["p-00001"]["lead"]) == ("Renamed later", "Ada Example")
    assert (now["p-00002"]["name"], now["p-00002"]["lead"]) == ("Project 2", "Ada Example")
    assert now["p-new"]["notes"] == "touched"
    kept = hub.rows(
        "SELECT external_id, reason FROM hub.sync_change WHERE run_id = %(id)s AND reason LIKE 'kept%%' ORDER BY 1",
        id=undo["id"],
    )
    assert [(row["external_id"], row["reason"]) for row in kept] == [
        ("p-00000", "kept: name changed since"),
        ("p-00001", "kept: name changed since"),
        ("p-new", "kept: it was changed since the run created it"),
    ]


def test_undo_leaves_alone_what_the_run_skipped(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed, conflictPolicy="skip")
    hub.database.execute("INSERT INTO hub.projects (name, project_number) VALUES ('Ours', '00001')")
    run = hub.run()
    assert (run["created"], run["linked"]) == (1, 0)
    ours = "SELECT to_jsonb(p) AS row FROM hub.projects p WHERE name = 'Ours'"
    before = hub.row(ours)
    undo = hub.run(trigger="manual", undo_run_id=run["id"])
    assert (undo["removed"], undo["updated"]) == (1, 0)
    assert hub.row(ours) == before


def test_undo_of_an_undo_is_the_identity(engine: Any) -> None:
    listed = FakeList(portfolio(8))
    hub = engine(listed, conflictPolicy="upsert")
    hub.database.execute(
        "INSERT INTO hub.projects (name, project_number, client) VALUES ('Ours', '00003', 'Local client')"
    )
    first = hub.run()
    assert (first["created"], first["linked"]) == (7, 1)
    synced = _state(hub)
    undo = hub.run(trigger="manual", undo_run_id=first["id"])
    assert undo["removed"] == 7
    assert hub.projects() == {}
    assert hub.rows("SELECT name, client FROM hub.projects") == [
        {"name": "Ours", "client": "Local client"}
    ]
    redo = hub.run(trigger="manual", undo_run_id=undo["id"])
    assert redo["state"] == "succeeded"
    assert _state(hub) == synced


def test_an_undo_can_be_looked_at_first(engine: Any) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed)
    run = hub.run()
    plan = hub.run(trigger="manual", undo_run_id=run["id"], dry_run=True)
    assert plan["state"] == "planned"
    assert len(hub.projects()) == 3
    assert _apply(hub, plan)["removed"] == 3
    assert hub.projects() == {}


def test_a_run_that_wrote_nothing_or_whose_journal_is_gone_cannot_be_taken_back(
    engine: Any,
) -> None:
    hub = engine(FakeList(portfolio(3)))
    run = hub.run()
    with pytest.raises(PlanUnusable, match="wrote nothing"):
        hub.run(trigger="manual", undo_run_id=hub.run()["id"])
    hub.database.execute("DELETE FROM hub.sync_change WHERE seq = 2")
    with pytest.raises(PlanUnusable, match="journal"):
        hub.run(trigger="manual", undo_run_id=run["id"])


def test_an_approved_plan_survives_kills_and_is_applied_once(engine: Any) -> None:
    listed = FakeList([project(n) for n in range(20)])
    hub = engine(listed)
    plan = hub.run(dry_run=True)
    run_id = hub.stages().plan(hub.request("manual", apply_run_id=plan["id"]))
    for stage in ("fetch", "filter_parents", "map_fields", "map_fields", "upsert", "upsert"):
        getattr(hub.stages(), stage)(run_id)
    run = hub.finish_from(run_id, 4)
    assert (run["state"], run["created"]) == ("succeeded", 20)
    assert hub.row("SELECT count(*) AS n FROM hub.projects")["n"] == 20


def test_the_journal_is_kept_for_its_days(engine: Any) -> None:
    hub = engine(FakeList(portfolio(3)))
    old, new = hub.run(), hub.run(dry_run=True, mode="full")
    hub.database.execute(
        "UPDATE hub.integration_run SET ended_at = ended_at - interval '91 days' WHERE id = %(id)s",
        {"id": old["id"]},
    )
    purged = HousekeepingStore(hub.database).purge()
    assert purged["changes"] == 3
    assert new["state"] == "planned"
    with pytest.raises(PlanUnusable, match="journal"):
        hub.run(trigger="manual", undo_run_id=old["id"])
