"""A provider's list in memory that behaves like the real one: updated rows move, pages can drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage

EPOCH = datetime(2026, 3, 1, 8, 0, 0)


class FakeList:
    """Fulfils ports.ObjectClient. `before_page[n]` runs just before the n-th page request (from 1)."""

    def __init__(self, records: list[dict[str, Any]], *, now: datetime | None = None) -> None:
        self.records = {record["id"]: record for record in records}
        self.now = now or EPOCH + timedelta(days=1)
        self.before_page: dict[int, Callable[[], None]] = {}
        self.asked: list[tuple[str, ListQuery, int]] = []
        self.filter_hides: set[str] = set()
        self.page_cap = 1000
        self.requests = 0
        self.hidden: set[str] = set()  # not listed and not counted, but there by id
        self.says: dict[str, str] = {}
        self.looked_up: list[str] = []

    def touch(self, record_id: str, **fields: Any) -> None:
        """Change a record now, as a person at the provider would."""
        self.now += timedelta(seconds=1)
        self.records[record_id].update(fields, lastUpdated=self.now.isoformat())

    def add(self, **fields: Any) -> None:
        """A new record now."""
        self.now += timedelta(seconds=1)
        record = {**project(len(self.records)), "lastUpdated": self.now.isoformat(), **fields}
        self.records[record["id"]] = record

    def count(self, query: ListQuery) -> int:
        self.requests += 1
        self.asked.append(("count", query, 0))
        return len(self._rows(query))

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        self.requests += 1
        self.asked.append(("page", query, number))
        pages = sum(kind == "page" for kind, _, _ in self.asked)
        self.before_page.pop(pages, lambda: None)()
        size = min(size, self.page_cap)
        rows = self._rows(query)[(number - 1) * size : number * size]
        body = json.dumps([{name: row.get(name) for name in query.fields} for row in rows])
        return RawPage(body.encode(), self.now)

    def presence(self, external_id: str) -> str:
        self.requests += 1
        self.looked_up.append(external_id)
        if external_id in self.says:
            return self.says[external_id]
        row = self.records.get(external_id)
        return "gone" if row is None else "present" if row["parentId"] is None else "child"

    def probe_parent_only(self) -> FilterProbe:
        self.requests += 1
        rows = [r for r in self.records.values() if r["parentId"] is None]
        return FilterProbe(
            True, "accepted", len([r for r in rows if r["id"] not in self.filter_hides])
        )

    def _rows(self, query: ListQuery) -> list[dict[str, Any]]:
        rows = [r for r in self.records.values() if r["id"] not in self.hidden]
        if query.parent_only:
            rows = [r for r in rows if r["parentId"] is None and r["id"] not in self.filter_hides]
        if not query.by_stamp:
            return sorted(rows, key=lambda r: str(r["id"]))
        since = query.since or datetime.min
        until = query.until or datetime.max
        rows = [r for r in rows if since <= _stamp(r) < until]
        return sorted(rows, key=_stamp)


def project(number: int, **fields: Any) -> dict[str, Any]:
    """A top-level record; stamps are a second apart."""
    return {
        "id": f"p-{number:05d}",
        "parentId": None,
        "name": f"Project {number}",
        "code": f"{number:05d}",
        "client": f"Client {number % 7}",
        "clientId": f"c-{number % 7}",
        "status": 0,
        "startDate": "2026-01-05T00:00:00",
        "dueDate": None,
        "manager": "Ada Example",
        "memo": None,
        "lastUpdated": (EPOCH + timedelta(seconds=number)).isoformat(),
        **fields,
    }


def portfolio(roots: int, children: int = 0) -> list[dict[str, Any]]:
    """`roots` top-level records and `children` below them."""
    below = [
        project(roots + i, name=f"Phase {i}", parentId=f"p-{i % max(roots, 1):05d}")
        for i in range(children)
    ]
    return [project(i) for i in range(roots)] + below


def _stamp(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["lastUpdated"])
