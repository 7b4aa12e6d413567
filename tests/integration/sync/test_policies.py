"""Who wins for a column: each policy against what happened here and at the provider, on real runs."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.kit.fake_list import FakeList, portfolio, project

# what happened: (edit here, edit at the provider); "" at the provider = the client is taken away
HAPPENED: dict[str, tuple[str | None, str | None]] = {
    "first import": (None, None),
    "edited here": ("Mine", None),
    "edited there": (None, "New"),
    "edited on both sides": ("Mine", "New"),
    "taken away there": (None, ""),
    "edited here, taken away there": ("Mine", ""),
    "emptied here": ("", None),
    "edited alike": ("New", "New"),
}
# policy -> what happened -> (client, bqe_client_name, diverged); None = as the provider had it first
FIRST = "first"
CLIENT: dict[str, dict[str, tuple[str | None, str | None, bool]]] = {
    "preserve_local": {
        "first import": (FIRST, FIRST, False),
        "edited here": ("Mine", FIRST, True),
        "edited there": ("New", "New", False),
        "edited on both sides": ("Mine", "New", True),
        "taken away there": (None, None, False),
        "edited here, taken away there": ("Mine", None, True),
        "emptied here": (FIRST, FIRST, False),
        "edited alike": ("New", "New", False),
    },
    "follow_bqe": {
        "first import": (FIRST, FIRST, False),
        "edited here": (FIRST, FIRST, False),
        "edited there": ("New", "New", False),
        "edited on both sides": ("New", "New", False),
        "taken away there": (None, None, False),
        "edited here, taken away there": (None, None, False),
        "emptied here": (FIRST, FIRST, False),
        "edited alike": ("New", "New", False),
    },
    "write_once": {
        "first import": (FIRST, FIRST, False),
        "edited here": ("Mine", FIRST, True),
        "edited there": (FIRST, "New", True),
        "edited on both sides": ("Mine", "New", True),
        "taken away there": (FIRST, None, True),
        "edited here, taken away there": ("Mine", None, True),
        "emptied here": ("", FIRST, False),
        "edited alike": ("New", "New", False),
    },
}


def _edit(hub: Any, column: str, value: Any, number: str) -> None:
    hub.database.execute(
        f"UPDATE hub.projects SET {column} = %(value)s WHERE project_number = %(number)s",
        {"value": value, "number": number},
    )


@pytest.mark.parametrize("policy", list(CLIENT))
def test_the_client_is_merged_by_its_policy_and_its_state_says_so(engine: Any, policy: str) -> None:
    listed = FakeList([project(i, client=FIRST) for i in range(len(HAPPENED))])
    hub = engine(listed, clientSyncPolicy=policy)
    hub.run()
    for i, (here, there) in enumerate(HAPPENED.values()):
        if here is not None:
            _edit(hub, "client", here, f"{i:05d}")
        if there is not None:
            listed.touch(f"p-{i:05d}", client=there or None)
    last = hub.run(trigger="manual", mode="full")["id"]
    found = hub.projects()
    for i, case in enumerate(HAPPENED):
        row = found[f"p-{i:05d}"]
        state = row["client_sync_policy_state"]
        client, base, diverged = CLIENT[policy][case]
        assert (row["client"], row["bqe_client_name"]) == (client, base), case
        assert (state["policy"], state["base_value"], state["diverged"]) == (
            policy,
            base,
            diverged,
        ), case
        assert state["at"]
        assert state["run_id"] <= last
    again = hub.run(trigger="manual", mode="full")
    assert (again["updated"], again["unchanged"]) == (0, len(HAPPENED))


def test_a_field_policy_works_for_any_column_with_the_providers_last_word_as_base(
    engine: Any,
) -> None:
    policies = {"lead": "preserve_local", "end_date": "preserve_local", "notes": "write_once"}
    listed = FakeList([project(i, manager="Ann", memo="Old") for i in range(3)])
    hub = engine(listed, fieldPolicies=policies)
    hub.run()
    _edit(hub, "lead", "Here", "00001")
    _edit(hub, "end_date", "2030-01-01", "00001")
    _edit(hub, "notes", "Here", "00001")
    for i in (1, 2):
        listed.touch(f"p-{i:05d}", manager="Bob", dueDate="2031-02-02", memo="New")
    hub.run()
    found = hub.projects()
    seen = {key: (row["lead"], str(row["end_date"]), row["notes"]) for key, row in found.items()}
    assert seen["p-00001"] == ("Here", "2030-01-01", "Here")
    assert seen["p-00002"] == ("Bob", "2031-02-02", "Old")
    _edit(hub, "lead", "Bob", "00001")  # the provider's last word again: no longer an edit
    listed.touch("p-00001", manager="Cid")
    hub.run()
    assert hub.projects()["p-00001"]["lead"] == "Cid"
    assert hub.run(trigger="manual", mode="full")["unchanged"] == 3


def test_a_policy_switched_on_later_keeps_what_differs(engine: Any) -> None:
    listed = FakeList([project(1, manager="Ann"), project(2, manager="Ann")])
    hub = engine(listed)
    hub.run()
    assert hub.row("SELECT count(base) AS n FROM hub.integration_external_link")["n"] == 0
    hub.database.execute(
        'UPDATE hub.integration_rule SET body = body || \'{"fieldPolicies": {"lead": "preserve_local"}}\''
    )
    _edit(hub, "lead", "Here", "00001")
    for key in ("p-00001", "p-00002"):
        listed.touch(key, memo="anything")
    hub.run()
    assert hub.projects()["p-00001"]["lead"] == "Here"
    listed.touch("p-00002", manager="Bob")
    hub.run()
    assert hub.projects()["p-00002"]["lead"] == "Bob"


def test_an_edit_of_any_column_made_after_the_plan_is_decided_on_the_row_as_it_is(
    engine: Any,
) -> None:
    listed = FakeList(portfolio(3))
    hub = engine(listed, fieldPolicies={"lead": "preserve_local"})
    hub.run()
    listed.touch("p-00001", manager="There", name="Renamed")
    run_id = hub.stages().plan(hub.request())
    for stage in ("fetch", "filter_parents", "map_fields"):
        getattr(hub.stages(), stage)(run_id)
    _edit(hub, "lead", "Just now", "00001")
    hub.finish_from(run_id, 3)
    row = hub.projects()["p-00001"]
    assert (row["lead"], row["name"]) == ("Just now", "Renamed")
    change = hub.row("SELECT * FROM hub.hub_v_change WHERE run_id = %(id)s", id=run_id)
    assert change["outcome"] == "redecided"
    assert change["before"]["lead"] == change["after"]["lead"] == "Just now"


def test_only_a_sync_writes_what_the_provider_says(engine: Any) -> None:
    hub = engine(FakeList(portfolio(1)))
    hub.run()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _edit(hub, "bqe_client_name", "forged", "00000")
    _edit(hub, "client", "edited", "00000")
    assert hub.projects()["p-00000"]["bqe_client_name"] == "Client 0"


def test_clients_are_found_by_index(engine: Any) -> None:
    hub = engine(FakeList([]))
    rows = hub.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'projects'")
    indexes = " ".join(row["indexdef"] for row in rows)
    assert "lower(bqe_client_name)" in indexes
    assert "(bqe_client_id)" in indexes
