"""Trials of the crash protocol: a run is disturbed, two clean ones follow, every invariant must hold."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.store.migrate import upgrade
from tests.kit.commit_proxy import CommitProxy
from tests.kit.crash_worker import DONE, LOST, PAGE_SIZE, CrashWorkers, Order, state_of, until_still
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList
from tests.kit.file_list import ProviderWorld
from tests.kit.invariants import Quiet, violations, watch_marks

READING = ("fetched", "fence_checked", "before_commit", "after_commit")
WRITING = ("chunk_fence_checked", "chunk_before_commit", "chunk_after_commit")
PLACES = (
    "run_started", "lease_acquired", "fetch_entered", *READING, "filter_parents_entered", "map_fields_entered",
    "mid_map", "upsert_entered", *WRITING, "finish_entered", "before_finish", "finished",
)  # fmt: skip
KINDS = ("killed", "placed", "given_up", "restarted", "unanswered", "frozen", "overtaken")
TRIES = 3  # of a task, as Airflow gives them


class CrashWorld:
    """A Hub, a provider that people work at, people who edit, and workers that die; one after another."""

    def __init__(
        self, server: EmbeddedPostgres, template: str, folder: Path, seed: int, variant: str = ""
    ) -> None:
        self.chance = random.Random(seed)
        self._server, self._folder = server, folder
        self._name = f"crash_{os.urandom(6).hex()}"
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{self._name}" TEMPLATE {template} STRATEGY file_copy')
        self.url = server.url_of(self._name)
        self.hub = Engine(self.url, FakeList([]))
        watch_marks(self.hub.database)
        self.provider = ProviderWorld(folder / "list.json", self.chance)
        self.edited: dict[str, str] = {}
        self.workers = CrashWorkers(folder / "workers.log", variant)
        self.proxy = CommitProxy("127.0.0.1", server.port)
        self._runs = 0
        self._clean_run()  # warms up
        started = time.monotonic()
        self._clean_run()
        self._usual_s = time.monotonic() - started
        self.happened: list[str] = []

    def trial(self, kind: str) -> list[str]:
        """Disturb one run in this way; what the invariants say afterwards."""
        for _ in range(self.chance.randint(3, 8)):
            self.provider.work()
        self._edit()
        self.happened = [kind]
        disturb: Callable[[], None] = getattr(self, f"_{kind}")
        disturb()
        self._time_passes()
        for _ in range(2):
            self._clean_run()
        return violations(self._quiet())

    def close(self) -> None:
        """End the workers and drop the database."""
        self.workers.stop()
        self.proxy.stop()
        self.hub.close()
        with psycopg.connect(self._server.url_of("postgres"), autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{self._name}" WITH (FORCE)')

    # --- how a run is disturbed ---

    def _killed(self) -> None:
        """SIGKILL at random moments; at times so often that the task is given up."""
        order = self._order()
        for _ in range(self.chance.randint(1, TRIES)):
            pid = self.workers.start(order)
            self._meanwhile()
            os.kill(pid, signal.SIGKILL)
            if self.workers.wait(pid) == DONE:
                return
        self._end(order, tries=self.chance.choice((0, TRIES)))

    def _placed(self) -> None:
        """SIGKILL at named places."""
        order = self._order()
        for _ in range(self.chance.randint(1, TRIES - 1)):
            place = self._place(PLACES + WRITING)
            if self._carried_out(replace(order, failpoint=f"{place}:kill")):
                return
        self._end(order)

    def _given_up(self) -> None:
        """A task dies at one place whenever it is tried; the next run has the work of this one, too."""
        order = self._order()
        place = self.chance.choice(("fetched", "mid_map", *WRITING))
        self.happened.append(place)
        for _ in range(TRIES):
            if self._carried_out(replace(order, failpoint=f"{place}:1:kill")):
                return
        self._end(order, tries=0)

    def _restarted(self) -> None:
        """PostgreSQL is stopped as by a power cut and started again."""
        order = self._order()
        pid = self.workers.start(order)
        self._meanwhile()
        self._server.stop("immediate")
        self._server.start()
        self.hub.database.close()
        self.workers.wait(pid)
        self._end(order)

    def _unanswered(self) -> None:
        """Nobody tells the worker what became of its COMMIT."""
        order = self._order()
        for _ in range(self.chance.randint(1, TRIES - 1)):
            how = self.chance.choice(("unanswered", "unanswered", "unsent"))
            nth = self.chance.randint(1, 25)
            self.happened.append(f"COMMIT {nth} {how}")
            self.proxy.arm(nth, how)
            done = self._carried_out(replace(order, url=self.proxy.url(self.url)))
            self.proxy.arm(0, "")
            if done:
                return
        self._end(order)

    def _frozen(self) -> None:
        """A task stands still, its retry does the work, then the first one wakes up."""
        order = self._order()
        self._beside(replace(order, failpoint=f"{self._place(PLACES)}:freeze"), order)

    def _overtaken(self) -> None:
        """A run stands still until its lease has lapsed, another one does the work, then it wakes up."""
        place = self._place(WRITING if self.chance.random() < 0.7 else PLACES)
        order = replace(self._order(), failpoint=f"{place}:freeze", lapses=True)
        self._beside(order, self._order())
        if Path(order.progress).exists():
            self._end(replace(order, failpoint="", lapses=False), tries=0)

    def _beside(self, first: Order, second: Order) -> None:
        frozen = self.workers.start(first)
        if not until_still(frozen):
            self.workers.wait(frozen)  # it did not come to that place
            self._end(replace(first, failpoint="", lapses=False))
            return
        self.provider.work()
        other = self.workers.start(second)
        while state_of(other) != "Z" and not self._blocked():
            time.sleep(0.005)
        os.kill(frozen, signal.SIGCONT)  # it may hold rows: nobody could edit them before
        self._edit()
        self.workers.wait(frozen)
        if self.workers.wait(other) != DONE:
            self._end(second)

    # --- around them ---

    def _order(self) -> Order:
        self._runs += 1
        rule = self.hub.rule
        return Order(
            url=self.url,
            source=str(self.provider.path),
            progress=str(self._folder / f"run-{self._runs}"),
            dag_id=rule.dag_id,
            dag_run_id=f"run-{self._runs}",
            rule_id=rule.id,
        )

    def _clean_run(self) -> None:
        self._end(self._order())

    def _end(self, order: Order, tries: int = TRIES) -> None:
        """The rest of the tries, then the teardown; without a run id there is none to call."""
        for _ in range(tries or not Path(order.progress).exists()):
            if self._carried_out(order):
                return
        if not self._carried_out(replace(order, only_finish=True)):
            self._carried_out(replace(order, only_finish=True))

    def _carried_out(self, order: Order) -> bool:
        code = self.workers.wait(self.workers.start(order))
        if code == LOST:
            return self._carried_out(replace(order, only_finish=True, failpoint=""))
        return code == DONE

    def _meanwhile(self) -> None:
        """Some time, in which people work."""
        left = self.chance.uniform(0, 1.2 * self._usual_s)
        self.happened.append(f"after {left * 1000:.0f} ms")
        pause = left / 3
        for act in self.chance.sample([self.provider.work, self._edit, self.provider.work], 2):
            time.sleep(pause)
            act()
        time.sleep(pause)

    def _edit(self) -> None:
        """Somebody types a client into a project."""
        local = list(self.hub.projects())
        if local:
            key = self.chance.choice(local)
            typed = f"Typed {len(self.edited)} {self.chance.random()}"
            self.hub.database.execute(
                "UPDATE hub.projects p SET client = %(typed)s FROM hub.integration_external_link l "
                "WHERE l.local_id = p.id AND l.external_id = %(key)s",
                {"typed": typed, "key": key},
            )
            self.edited[key] = typed

    def _place(self, places: tuple[str, ...]) -> str:
        place = self.chance.choice(places)
        self.happened.append(place)
        return f"{place}:{self.chance.randint(1, 2) if place in READING + WRITING else 1}"

    def _blocked(self) -> bool:
        row = self.hub.row(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(row["n"])

    def _time_passes(self) -> None:
        """So long that every lease that nobody renews has run out."""
        self.hub.database.execute(
            "UPDATE hub.integration_lease SET expires_at = '-infinity' WHERE run_id IS NOT NULL"
        )

    def _quiet(self) -> Quiet:
        roots = self.provider.roots()
        pages = len(self.provider.records) // PAGE_SIZE + 1
        return Quiet(
            database=self.hub.database,
            roots=roots,
            children={k: r for k, r in self.provider.records.items() if k not in roots},
            edited=self.edited,
            requests=Counter(self.provider.requests()),
            # a listing is tried three times, each with its counts, and so is the task
            most_requests=(2 * TRIES) * 3 * (pages + 4),
        )


def fresh_template(server: EmbeddedPostgres, name: str) -> str:
    """A migrated database to copy worlds from."""
    upgrade(server.create_database(name))
    return name
