"""Random portfolios, random work at the provider, random defects of its list: what the verdict says.

Every seeded defect must be noticed, a clean run never be called incomplete.
"""

from __future__ import annotations

import contextlib
import random
from contextlib import closing
from typing import Any

import pytest

from integrations_hub.errors import ListingIncomplete, RunFailed
from tests.kit.engine import STAGES, Engine
from tests.kit.fake_list import FakeList, portfolio
from tests.kit.warm_engine import WarmEngine

ROOTS = 40


class Drifting(FakeList):
    """`drop_page` answers that page with nothing although its records are counted."""

    drop_page: int | None = None

    def page(self, query: Any, number: int, size: int) -> Any:
        if number == self.drop_page:
            self.asked.append(("page", query, number))
            return super().page(query, 10_000, size)
        return super().page(query, number, size)


class World:
    """One hub whose stages share their sessions, for speed."""

    def __init__(self, engine: Any, seed: int) -> None:
        self.chance = random.Random(seed)
        self.listed = Drifting(portfolio(ROOTS, children=8))
        self.hub: Engine = engine(self.listed)
        self.stages = self.hub.stages()
        self.added = 0
        assert self.sweep()["verdict"]["state"] == "complete"

    def sweep(self) -> dict[str, Any]:
        run_id = self.stages.plan(self.hub.request("manual", mode="sweep"))
        try:
            for name in STAGES:
                getattr(self.stages, name)(run_id)
        except ListingIncomplete:
            pass
        with contextlib.suppress(RunFailed):
            self.stages.finish(run_id)
        return self.hub.row("SELECT * FROM hub.integration_run WHERE id = %(id)s", id=run_id)

    def work(self) -> None:
        """What people do at the provider between two runs: no defect."""
        for key in self.chance.sample(sorted(self.listed.records), 3):
            self.listed.touch(key, name=f"Name {self.chance.random()}")
        if self.chance.random() < 0.3:
            self.added += 1
            self.listed.add(id=f"new-{self.added:04d}", code=f"N{self.added}")

    def root(self) -> str:
        linked = self.hub.projects()
        roots = [k for k, r in self.listed.records.items() if r["parentId"] is None and k in linked]
        return self.chance.choice(roots)

    def next_page(self) -> int:
        return sum(kind == "page" for kind, _, _ in self.listed.asked) + 1

    # --- defects; each returns whether the run noticed it ---

    def dropped_page(self) -> bool:
        self.listed.drop_page = self.chance.randint(1, 3)
        run = self.sweep()
        self.listed.drop_page = None
        return bool(run["verdict"]["state"] == "incomplete")

    def shifted_rows(self) -> bool:
        """A row of the first page goes while the second is read: a later one is read by nobody."""
        gone = min(k for k, r in self.listed.records.items() if r["parentId"] is None)
        kept = self.listed.records[gone]
        self.listed.before_page[self.next_page() + 1] = lambda: self.listed.records.pop(gone, None)
        run = self.sweep()
        self.listed.before_page.clear()
        self.listed.records[gone] = kept
        return bool(run["listing"]["attempt"] > 1 and run["verdict"]["extra"]["ids"] == [gone])

    def hidden_items(self) -> bool:
        self.listed.hidden = {self.root() for _ in range(self.chance.randint(1, 3))}
        run = self.sweep()
        hidden, self.listed.hidden = self.listed.hidden, set()
        return set(run["verdict"]["extra"]["ids"]) == hidden

    def empty_list(self) -> bool:
        records, self.listed.records = self.listed.records, {}
        run = self.sweep()
        self.listed.records = records
        return bool(run["state"] == "needs_confirmation")

    def reparented(self) -> bool:
        moved = self.root()
        self.listed.touch(moved, parentId="p-00039" if moved != "p-00039" else "p-00038")
        run = self.sweep()
        noticed = self.hub.projects()[moved]["scope"] == "out_of_scope"
        self.listed.touch(moved, parentId=None)
        return noticed and bool(run["verdict"]["state"] == "complete")

    def lost_link(self) -> bool:
        """Somebody removes a link between map_fields and finish: the Hub no longer has the record."""
        run_id = self.stages.plan(self.hub.request("manual", mode="sweep"))
        for name in STAGES:
            getattr(self.stages, name)(run_id)
        lost = self.root()
        self.hub.database.execute(
            "WITH gone AS (DELETE FROM hub.integration_external_link WHERE external_id = %(id)s RETURNING local_id) "
            "DELETE FROM hub.projects USING gone WHERE id = gone.local_id",
            {"id": lost},
        )
        self.stages.finish(run_id)
        run = self.hub.row("SELECT * FROM hub.integration_run WHERE id = %(id)s", id=run_id)
        return bool(run["verdict"]["missing"]["ids"] == [lost])


DEFECTS = (
    "dropped_page",
    "shifted_rows",
    "hidden_items",
    "empty_list",
    "reparented",
    "lost_link",
)


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_seeded_defect_is_noticed_and_no_clean_run_is_accused(
    engine: Any, defect: str
) -> None:
    world = World(engine, seed=7)
    for _ in range(2):
        world.work()
        assert world.sweep()["verdict"]["state"] == "complete"
        assert getattr(world, defect)(), defect
        assert world.sweep()["verdict"]["state"] == "complete"  # mended, and back to normal


@pytest.mark.deep
def test_of_a_thousand_clean_runs_none_is_accused_and_every_defect_is_noticed(
    database_url: str,
) -> None:
    """Ten firms of a hundred runs each: what earlier runs left behind must not slow the later ones down."""
    accused, unnoticed = [], []
    with closing(WarmEngine(database_url, FakeList([]))) as warm:
        for seed in range(10):

            def emptied(listed: FakeList, warm: WarmEngine = warm) -> WarmEngine:
                warm.empty(listed)
                return warm

            world = World(emptied, seed)
            for number in range(100):
                world.work()
                if (verdict := world.sweep()["verdict"])["state"] != "complete":
                    accused.append((seed, number, verdict))
                if number % 10 == 0:
                    defect = DEFECTS[(number // 10 + seed) % len(DEFECTS)]
                    if not getattr(world, defect)():
                        unnoticed.append((seed, number, defect))
    assert (accused, unnoticed) == ([], [])
