"""A provider's list that lives in a file: several processes read it while the test changes it."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage
from tests.kit.fake_list import FakeList, portfolio

_LATE_S = 200  # a change may become visible this late; the shipped overlap is 300 s


class FileList(FakeList):
    """The list as one process of the Hub sees it now; every request is noted in `<file>.requests`."""

    def __init__(self, path: Path) -> None:
        super().__init__([])
        self._path = path
        self._asked_by = "nobody"

    def asked_by(self, dag_run_id: str) -> None:
        """Whose requests the next ones are."""
        self._asked_by = dag_run_id

    def count(self, query: ListQuery) -> int:
        self._look()
        return super().count(query)

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        self._look()
        return super().page(query, number, size)

    def presence(self, external_id: str) -> str:
        self._look()
        return super().presence(external_id)

    def probe_parent_only(self) -> FilterProbe:
        self._look()
        return super().probe_parent_only()

    def _look(self) -> None:
        with Path(f"{self._path}.requests").open("a", encoding="utf-8") as log:
            log.write(f"{self._asked_by}\n")
        held = json.loads(self._path.read_text(encoding="utf-8"))
        self.records, self.now = held["records"], datetime.fromisoformat(held["now"])


class ProviderWorld:
    """What people do at the provider: the truth, written to the file in one step after each change."""

    def __init__(self, path: Path, chance: random.Random, *, roots: int = 30) -> None:
        self.path, self._chance = path, chance
        self._list = FakeList(portfolio(roots, children=6))
        self._save()

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Every record as it is now."""
        return self._list.records

    def roots(self) -> dict[str, dict[str, Any]]:
        """What is to be synced."""
        return {key: one for key, one in self.records.items() if one["parentId"] is None}

    def requests(self) -> list[str]:
        """Who asked, once per request."""
        log = Path(f"{self.path}.requests")
        return log.read_text(encoding="utf-8").split() if log.exists() else []

    def work(self) -> None:
        """One change: mostly of a record, now and then a new one; its stamp may equal the last or be late."""
        when = self._stamp()
        if self._chance.random() < 0.2:
            parent = (
                None if self._chance.random() < 0.7 else self._chance.choice(list(self.roots()))
            )
            number = len(self.records)
            self._list.add(
                id=f"p-{number:05d}", parentId=parent, lastUpdated=when, name=self._name()
            )
        else:
            key = self._chance.choice(list(self.records))
            changed = {"name": self._name()}
            if self._chance.random() < 0.4:
                changed["client"] = f"Client {self._chance.random()}"
            self.records[key].update(changed, lastUpdated=when)
        self._save()

    def _name(self) -> str:
        return f"Name {self._chance.random()}"

    def _stamp(self) -> str:
        """Mostly minutes after the last change, in whole seconds as the provider gives them."""
        dice = self._chance.random()
        if dice < 0.6:
            self._list.now += timedelta(seconds=self._chance.randint(1, 1800))
        late = self._chance.randint(0, _LATE_S) if dice > 0.8 else 0
        return (self._list.now - timedelta(seconds=late)).isoformat()

    def _save(self) -> None:
        held = {"now": self._list.now.isoformat(), "records": self._list.records}
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(held), encoding="utf-8")
        beside.replace(self.path)
