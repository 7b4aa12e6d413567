"""Random trees, edits, plans, undos and disappearances: what holds for every history, on the real engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.kit.engine import STAGES
from tests.kit.fake_list import FakeList, portfolio, project
from tests.kit.warm_engine import WarmEngine

ZEROS = "00000000-0000-0000-0000-000000000000"
SIZES = pytest.mark.parametrize(
    "examples", [pytest.param(8, id="few"), pytest.param(60, id="many", marks=pytest.mark.deep)]
)


@pytest.fixture
def hub(database_url: str) -> Iterator[WarmEngine]:
    """One Hub for all examples of a test; each empties it."""
    made = WarmEngine(database_url, FakeList([]))
    yield made
    made.close()


def _for_all(examples: int, **strategies: Any) -> Callable[[Callable[..., None]], None]:
    """Run the decorated function for this many examples."""

    def run(holds: Callable[..., None]) -> None:
        wanted = settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # histories are short as they are
        )
        wanted(given(**strategies)(holds))()

    return run


def _full(hub: WarmEngine, **params: Any) -> dict[str, Any]:
    run = hub.run(trigger="manual", **{"mode": "full", **params})
    assert run["state"] in ("succeeded", "succeeded_with_rejects", "planned"), run["error_text"]
    return run


def _id(number: int) -> str:
    return f"p-{number:05d}"


# --- trees ---

NODES = 8
PARENTS = st.lists(
    st.one_of(
        st.sampled_from([None, None, "", ZEROS, "gone-from-the-list"]),
        st.integers(0, NODES - 1).map(_id),  # itself, too, and rings
    ),
    min_size=NODES,
    max_size=NODES,
)


@SIZES
def test_of_any_tree_only_the_roots_are_imported_and_no_child_meets_a_local_row(
    hub: WarmEngine, examples: int
) -> None:
    @_for_all(examples, first=PARENTS, later=PARENTS, policy=st.sampled_from(["upsert", "review"]))
    def holds(first: list[str | None], later: list[str | None], policy: str) -> None:
        listed = FakeList([project(n, parentId=parent) for n, parent in enumerate(first)])
        hub.empty(listed, conflictPolicy=policy)
        hub.database.execute(
            "INSERT INTO hub.projects (name, project_number) SELECT 'Ours', lpad(n::text, 5, '0') "
            "FROM generate_series(0, %(last)s) AS n",
            {"last": NODES - 1},
        )
        were_roots: set[str] = set()
        for tree in (first, later):
            for number, parent in enumerate(tree):
                listed.touch(_id(number), parentId=parent)
            _full(hub, mode="sweep")  # what was hidden by the provider's own filter is read, too
            roots = {_id(n) for n, parent in enumerate(tree) if parent in (None, "", ZEROS)}
            were_roots |= roots
            linked = hub.projects()
            assert set(linked) <= were_roots
            assert {key for key, row in linked.items() if row["scope"] == "in_scope"} <= roots
            if policy == "upsert":
                assert roots <= set(linked)
            ours = hub.rows("SELECT project_number FROM hub.projects WHERE name = 'Ours'")
            untouched = {f"p-{row['project_number']}" for row in ours}
            assert {_id(n) for n in range(NODES)} - were_roots <= untouched


# --- edits under preserve_local ---

CLIENTS = st.sampled_from(["A", "B", "C", ""])
STEPS = st.lists(
    st.tuples(st.sampled_from(["here", "there", "sync", "during"]), st.integers(0, 2), CLIENTS),
    max_size=9,
)


@dataclass
class D3:
    """The rule for a client under preserve_local: empty, or what the provider said last, is nobody's edit."""

    local: str = "A"
    base: str = "A"
    remote: str = "A"
    diverged: bool = False

    def merged(self) -> str:
        return self.remote if self.local in ("", self.base) else self.local

    def moves(self) -> bool:
        after = self.after()
        return (after.local, after.base, after.diverged) != (self.local, self.base, self.diverged)

    def after(self) -> D3:
        local = self.merged()
        return D3(local, self.remote, self.remote, local not in ("", self.remote))


@SIZES
def test_no_history_of_edits_here_and_there_loses_an_edit_made_here(
    hub: WarmEngine, examples: int
) -> None:
    @_for_all(examples, steps=STEPS)
    def holds(steps: list[tuple[str, int, str]]) -> None:
        listed = FakeList([project(n, client="A") for n in range(3)])
        hub.empty(listed, conflictPolicy="review", clientSyncPolicy="preserve_local")
        _full(hub)
        rows = {_id(n): D3() for n in range(3)}
        for what, number, client in [*steps, ("sync", 0, "")]:
            key = _id(number)
            if what == "there":
                rows[key].remote = client
                listed.touch(key, client=client or None)
            elif what == "here":
                rows[key].local = client
                hub.edit(key, client=client)
            else:
                _sync(hub, rows, (key, client) if what == "during" else None)
                found = hub.projects()
                assert {k: found[k]["client"] or "" for k in rows} == {
                    k: row.local for k, row in rows.items()
                }
                assert {k: found[k]["bqe_client_name"] or "" for k in rows} == {
                    k: row.remote for k, row in rows.items()
                }


def _sync(hub: WarmEngine, rows: dict[str, D3], edit: tuple[str, str] | None) -> None:
    """A full run; `edit` falls between its plan and its writing, model and engine alike."""
    run_id = hub.stages().plan(hub.request("manual", mode="full"))
    for stage in STAGES[:3]:
        getattr(hub.stages(), stage)(run_id)
    if edit is not None:
        hub.edit(edit[0], client=edit[1])
    for key, row in list(rows.items()):
        planned = row.moves()  # a row without a planned change is not touched again
        if edit is not None and key == edit[0]:
            row.local = edit[1]
        if planned:
            rows[key] = row.after()
    assert hub.finish_from(run_id, 3)["state"] == "succeeded"


# --- plans and undo ---

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["rename", "client", "status", "move", "add", "edit", "local"]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=10,
)
OPTIONS = st.fixed_dictionaries(
    {
        "conflictPolicy": st.sampled_from(["upsert", "skip", "review"]),
        "clientSyncPolicy": st.sampled_from(["preserve_local", "follow_bqe", "write_once"]),
        "deletionPolicy": st.sampled_from(["mark_inactive_keep_link", "ignore", "soft_delete"]),
        "autoCreate": st.booleans(),
    }
)


def _history(hub: WarmEngine, changes: list[tuple[str, int]], options: dict[str, Any]) -> None:
    """A first sync, then these changes at both sides."""
    listed = FakeList(portfolio(6))
    hub.empty(listed, **{**options, "autoCreate": True})
    _full(hub)
    if not options["autoCreate"]:
        hub.change_rule(autoCreate=False)
    for step, (what, number) in enumerate(changes):
        key = _id(number)
        if what == "rename":
            listed.touch(key, name=f"Name {step}", manager=f"Lead {step}")
        elif what == "client":
            listed.touch(key, client=f"Client of {step}")
        elif what == "status":
            listed.touch(key, status=step % 4)
        elif what == "move":
            listed.touch(key, parentId=_id((number + 1) % 6) if step % 2 else None)
        elif what == "add":
            listed.add(id=f"new-{step}", code=f"N{number}")
        elif what == "edit":
            hub.edit(key, client=f"Typed {step}", notes=f"Note {step}")
        else:
            hub.database.execute(
                "INSERT INTO hub.projects (name, project_number) VALUES ('Ours', %(number)s)",
                {"number": f"N{number}"},
            )


def _data(hub: WarmEngine) -> list[str]:
    """Rows and links; when the provider last said so stays with the link and is nobody's value."""
    return [re.sub("'source_updated_at': [^}]*", "", row) for row in hub.state()["rows"]]


@SIZES
def test_a_plan_applied_is_what_a_direct_sync_does(hub: WarmEngine, examples: int) -> None:
    @_for_all(examples, changes=CHANGES, options=OPTIONS)
    def holds(changes: list[tuple[str, int]], options: dict[str, Any]) -> None:
        _history(hub, changes, options)
        direct = _full(hub)
        wanted = hub.state()
        _history(hub, changes, options)
        before = hub.state()
        plan = _full(hub, dry_run=True)
        assert hub.state() == before
        for count in ("review", "skipped", "unchanged", "records", "children"):
            assert plan[count] == direct[count]
        if not hub.rows("SELECT 1 FROM hub.sync_change WHERE run_id = %(id)s", id=plan["id"]):
            wanted["mark"] = before["mark"]  # nothing to apply, and nothing to approve
        else:
            applied = hub.run(trigger="manual", apply_run_id=plan["id"])
            assert applied["state"] == "succeeded", applied["error_text"]
        assert hub.state() == wanted


@SIZES
def test_undo_brings_back_what_was_and_undo_of_undo_what_was_done(
    hub: WarmEngine, examples: int
) -> None:
    @_for_all(examples, changes=CHANGES, options=OPTIONS)
    def holds(changes: list[tuple[str, int]], options: dict[str, Any]) -> None:
        _history(hub, changes, options)
        before = _data(hub)
        run = _full(hub)
        after = _data(hub)
        if not hub.rows("SELECT 1 FROM hub.sync_chunk WHERE run_id = %(id)s", id=run["id"]):
            return
        undo = hub.run(trigger="manual", undo_run_id=run["id"])
        assert undo["state"] == "succeeded"
        assert _data(hub) == before
        if hub.rows("SELECT 1 FROM hub.sync_chunk WHERE run_id = %(id)s", id=undo["id"]):
            hub.run(trigger="manual", undo_run_id=undo["id"])
            assert _data(hub) == after


# --- deletion policies ---

COMINGS = st.lists(
    st.tuples(st.sampled_from(["leaves", "returns", "sweep", "full"]), st.integers(0, 3)),
    max_size=12,
)


@dataclass
class Seen:
    """What is known of a record: there or not, and how many sweeps in a row missed it."""

    there: bool = True
    missed: int = 0
    concluded: bool = False

    def sweep(self) -> None:
        self.missed = 0 if self.there else self.missed + 1
        self.concluded = self.missed >= 2

    def full(self) -> None:
        """Listed is listed; nothing is concluded from a record that a full run does not list."""
        if self.there:
            self.missed, self.concluded = 0, False


@pytest.mark.parametrize("policy", ["mark_inactive_keep_link", "ignore", "soft_delete"])
@SIZES
def test_only_what_two_sweeps_missed_is_treated_as_deleted_and_what_returns_revives(
    hub: WarmEngine, examples: int, policy: str
) -> None:
    @_for_all(max(examples // 2, 1), steps=COMINGS)
    def holds(steps: list[tuple[str, int]]) -> None:
        listed = FakeList(portfolio(6))
        hub.empty(listed, deletionPolicy=policy)
        _full(hub, mode="sweep")
        away: dict[str, dict[str, Any]] = {}
        rows = {key: Seen() for key in listed.records}
        for what, number in [*steps, ("sweep", 0)]:
            key = _id(number)
            if what == "leaves" and key not in away:
                away[key] = listed.records.pop(key)
            elif what == "returns" and key in away:
                listed.records[key] = away.pop(key)
            elif what in ("sweep", "full"):
                _full(hub, mode=what)
                for one, row in rows.items():
                    row.there = one not in away
                    getattr(row, what)()
                found = hub.projects()
                assert set(found) == set(rows)  # every policy keeps the link
                gone = {k for k, row in rows.items() if row.concluded}
                inactive = {k for k, p in found.items() if p["status"] == "inactive"}
                hidden = {k for k, p in found.items() if p["deleted_at"] is not None}
                assert inactive == (set() if policy == "ignore" else gone)
                assert hidden == (gone if policy == "soft_delete" else set())
