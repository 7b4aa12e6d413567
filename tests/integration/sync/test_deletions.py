"""Archived, gone, forbidden, re-parented, revived: what each deletion policy leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList, portfolio

_STATUSES = {"0": "active", "1": "inactive", "2": "completed"}
POLICIES = ("mark_inactive_keep_link", "ignore", "soft_delete")


def _run(hub: Engine, *, absent: dict[str, str] | None = None) -> dict[str, Any]:
    """A full run under a mapping that knows archived records; `absent`: what a sweep found."""
    run_id = hub.stages().plan(hub.request(trigger="manual", mode="full"))
    plan = hub.row("SELECT plan FROM hub.integration_run WHERE id = %(id)s", id=run_id)["plan"]
    for line in plan["lines"]:
        if line["target"] == "status":
            line["values"] = _STATUSES
    from psycopg.types.json import Jsonb

    hub.database.execute(
        "UPDATE hub.integration_run SET plan = %(plan)s WHERE id = %(id)s",
        {"plan": Jsonb(plan), "id": run_id},
    )
    for name in ("fetch", "filter_parents"):
        getattr(hub.stages(), name)(run_id)
    for external_id, verdict in (absent or {}).items():
        hub.database.execute(
            "INSERT INTO hub.sync_absent (run_id, external_id, local_id, verdict) SELECT %(run)s, external_id, "
            "local_id, %(verdict)s FROM hub.integration_external_link WHERE external_id = %(id)s "
            "ON CONFLICT (run_id, external_id) DO UPDATE SET verdict = excluded.verdict",
            {"run": run_id, "id": external_id, "verdict": verdict},
        )
    return hub.finish_from(run_id, 2)


def _seen(hub: Engine, external_id: str) -> tuple[str, str, bool, bool]:
    """(status, name, hidden, flagged on the link)."""
    row = hub.projects()[external_id]
    link = hub.row(
        "SELECT * FROM hub.integration_external_link WHERE external_id = %(id)s", id=external_id
    )
    return (
        row["status"],
        row["name"],
        row["deleted_at"] is not None,
        link["remote_deleted_at"] is not None,
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_archived_then_revived(engine: Any, policy: str) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed, deletionPolicy=policy)
    _run(hub)
    listed.touch("p-00001", status=1, name="Renamed while archived")
    run = _run(hub)
    status = "active" if policy == "ignore" else "inactive"
    assert _seen(hub, "p-00001") == (status, "Project 1", policy == "soft_delete", True)
    counted = (run["inactivated"], run["skipped"], run["updated"])
    assert counted == ((0, 1, 0) if policy == "ignore" else (1, 0, 0))
    deactivated = hub.row("SELECT deactivated FROM hub.hub_v_run WHERE id = %(id)s", id=run["id"])
    assert deactivated["deactivated"] == run["inactivated"]
    assert _run(hub)["unchanged"] == 3  # once is enough
    listed.touch("p-00001", status=2)
    run = _run(hub)
    assert run["revived"] == 1
    assert _seen(hub, "p-00001") == ("completed", "Renamed while archived", False, False)
    assert _run(hub)["unchanged"] == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_gone_by_a_sweeps_proof_then_listed_again(engine: Any, policy: str) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed, deletionPolicy=policy)
    _run(hub)
    kept = listed.records.pop("p-00002")
    _run(hub, absent={"p-00002": "gone"})
    status = "active" if policy == "ignore" else "inactive"
    assert _seen(hub, "p-00002") == (status, "Project 2", policy == "soft_delete", True)
    again = _run(hub, absent={"p-00002": "gone"})
    assert (again["inactivated"], again["skipped"]) == (0, 0)
    listed.records["p-00002"] = kept
    assert _run(hub)["revived"] == 1
    assert _seen(hub, "p-00002") == ("active", "Project 2", False, False)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "verdict", ["first_miss", "present", "forbidden", "unproven", "too_many_missing"]
)
def test_no_other_verdict_touches_anything(engine: Any, policy: str, verdict: str) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed, deletionPolicy=policy)
    _run(hub)
    del listed.records["p-00002"]
    before = hub.rows("SELECT xmin, * FROM hub.projects ORDER BY id")
    _run(hub, absent={"p-00002": verdict})
    assert hub.rows("SELECT xmin, * FROM hub.projects ORDER BY id") == before


@pytest.mark.parametrize("policy", POLICIES)
def test_a_record_with_a_parent_is_out_of_scope_whatever_the_policy(
    engine: Any, policy: str
) -> None:
    listed = FakeList(portfolio(4, children=1))
    listed.filter_hides = {"p-00000"}
    hub = engine(listed, deletionPolicy=policy)
    _run(hub)
    listed.touch("p-00002", parentId="p-00001", name="must not arrive", status=1)
    del listed.records["p-00003"]
    run = _run(hub, absent={"p-00003": "child"})
    assert (run["out_of_scope"], run["inactivated"]) == (2, 0)
    for key in ("p-00002", "p-00003"):
        row = hub.projects()[key]
        assert (row["scope"], row["status"], row["deleted_at"]) == ("out_of_scope", "active", None)
    assert hub.projects()["p-00002"]["name"] == "Project 2"


def test_an_unknown_status_does_not_revive_and_a_person_may_not_un_archive(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    _run(hub)
    listed.touch("p-00001", status=1)
    _run(hub)
    listed.touch("p-00001", status=77)
    _run(hub)
    assert _seen(hub, "p-00001")[0] == "inactive"
    listed.touch("p-00001", status=1)
    hub.database.execute("UPDATE hub.projects SET status = 'active'")
    _run(hub)
    assert _seen(hub, "p-00001")[0] == "inactive"
