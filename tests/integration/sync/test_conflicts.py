"""A record without a link meets local rows: what each conflict policy does, and what always waits for review."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio, project


def _local(hub: Engine, number: str, name: str = "Mine", client: str | None = None) -> None:
    hub.database.execute(
        "INSERT INTO hub.projects (name, project_number, client) VALUES (%(name)s, %(number)s, %(client)s)",
        {"name": name, "number": number, "client": client},
    )


def _reasons(hub: Engine, run: dict[str, Any]) -> dict[str, str]:
    rows = hub.rows(
        "SELECT external_id, reason FROM hub.hub_v_change WHERE run_id = %(id)s AND action = 'review'",
        id=run["id"],
    )
    return {row["external_id"]: row["reason"] for row in rows}


@pytest.mark.parametrize(
    ("policy", "linked", "skipped", "review"),
    [("upsert", 1, 0, 0), ("skip", 0, 1, 0), ("review", 0, 0, 1)],
)
def test_one_local_row_with_the_same_number(
    engine: Any, policy: str, linked: int, skipped: int, review: int
) -> None:
    hub = engine(FakeList(portfolio(2)), conflictPolicy=policy)
    _local(hub, "00001", client="Ours")
    run = hub.run()
    assert (run["created"], run["linked"], run["skipped"], run["review"]) == (
        1,
        linked,
        skipped,
        review,
    )
    mine = hub.row("SELECT * FROM hub.projects WHERE project_number = '00001'")
    assert mine["name"] == ("Project 1" if linked else "Mine")
    assert ("p-00001" in hub.projects()) == bool(linked)
    if (
        linked
    ):  # linking is not an import: the local client stays, its base is the provider's name at once
        assert (mine["client"], mine["bqe_client_name"]) == ("Ours", "Client 1")
        assert mine["client_sync_policy_state"]["diverged"] is True
        assert hub.run(trigger="manual", mode="full")["unchanged"] == 2


def test_a_row_that_moves_before_it_is_linked_keeps_a_status_the_provider_does_not_say(
    engine: Any,
) -> None:
    hub = engine(FakeList([project(1, status=1)]), conflictPolicy="upsert")
    _local(hub, "00001")
    hub.database.execute("UPDATE hub.projects SET status = 'completed'")
    run_id = hub.stages().plan(hub.request())
    for stage in ("fetch", "filter_parents", "map_fields"):
        getattr(hub.stages(), stage)(run_id)
    hub.database.execute("UPDATE hub.projects SET notes = 'edited meanwhile'")
    hub.finish_from(run_id, 3)
    row = hub.projects()["p-00001"]
    assert (row["name"], row["status"]) == ("Project 1", "completed")


def test_several_local_rows_or_several_records_always_wait_for_review(engine: Any) -> None:
    records = [project(1), project(2), project(3, code="00002"), project(4)]
    hub = engine(FakeList(records), conflictPolicy="upsert")
    for number in ("00001", "00001", "00002"):
        _local(hub, number)
    run = hub.run()
    assert (run["created"], run["linked"], run["review"]) == (1, 0, 3)
    reasons = _reasons(hub, run)
    assert set(reasons) == {"p-00001", "p-00002", "p-00003"}
    assert "2 projects" in reasons["p-00001"]
    assert "2 records" in reasons["p-00002"]


def test_without_auto_create_a_new_record_waits_and_a_known_number_is_still_linked(
    engine: Any,
) -> None:
    hub = engine(FakeList(portfolio(2)), autoCreate=False, conflictPolicy="upsert")
    _local(hub, "00001")
    run = hub.run()
    assert (run["created"], run["linked"], run["review"]) == (0, 1, 1)


def test_an_id_that_stands_for_another_project_now_waits_for_review(engine: Any) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", name="Another", code="99999")
    listed.touch("p-00002", name="Only renamed")
    run = hub.run()
    assert (run["updated"], run["review"]) == (1, 1)
    assert hub.projects()["p-00001"]["name"] == "Project 1"
    assert "another project" in _reasons(hub, run)["p-00001"]


def test_a_project_deleted_here_is_not_made_again_and_may_be_linked_anew(engine: Any) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed, conflictPolicy="upsert")
    hub.run()
    hub.database.execute("DELETE FROM hub.projects WHERE project_number IN ('00001', '00002')")
    _local(hub, "00002")
    run = hub.run(trigger="manual", mode="full")
    assert (run["created"], run["linked"], run["review"]) == (0, 1, 1)
    assert hub.projects()["p-00002"]["name"] == "Project 2"
    assert hub.row("SELECT count(*) AS n FROM hub.projects")["n"] == 2


def test_a_link_deleted_by_hand_comes_back_without_a_second_project(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed, conflictPolicy="upsert")
    hub.run()
    hub.database.execute("DELETE FROM hub.integration_external_link WHERE external_id = 'p-00001'")
    assert hub.run(trigger="manual", mode="full")["linked"] == 1
    assert hub.row("SELECT count(*) AS n FROM hub.projects")["n"] == 2


def test_what_the_tables_cannot_hold_is_rejected_when_planned(engine: Any) -> None:
    records = portfolio(4)
    records[1]["name"] = "   "
    records[2]["client"] = "\U0001f600" * 900
    hub = engine(FakeList(records))
    run = hub.run(trigger="manual", dry_run=True)
    assert (run["state"], run["rejected"]) == ("planned", 2)
    assert hub.run()["created"] == 2
    held = hub.rows("SELECT external_id, code FROM hub.quarantine ORDER BY external_id")
    assert [(row["external_id"], row["code"]) for row in held] == [
        ("p-00001", "MISSING_VALUE"),
        ("p-00002", "TOO_LONG"),
    ]
    hub.client.touch("p-00001", name="Mended")
    hub.run()
    held = hub.rows("SELECT 1 AS x FROM hub.quarantine WHERE resolved_at IS NULL")
    assert len(held) == 1
