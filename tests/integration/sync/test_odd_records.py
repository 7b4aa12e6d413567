"""Odd records in a provider's answer: each is loaded or quarantined, and none takes the others with it."""

from __future__ import annotations

import json
from typing import Any

from integrations_hub.domain.listing import ListQuery, RawPage
from tests.kit.fake_list import FakeList, portfolio, project

_PLAIN = json.dumps(project(0))


def _as(member: str, text: str) -> str:
    """A record whose `member` is this piece of JSON."""
    record = json.dumps({**project(0), member: "?"})
    return record.replace('"?"', text)


# what came (a piece of JSON for one record of the page) -> the pointer in quarantine, None = loaded
ODD: dict[str, tuple[str, str | None]] = {
    "NUL in a text": (_as("name", '"a\\u0000b"'), "/name"),
    "half a surrogate pair": (_as("name", '"\\ud800"'), ""),
    "a text of 10 MB": (_as("name", f'"{"x" * 10_000_000}"'), "/name"),
    "nested a thousand deep": (_as("memo", "[" * 1000 + "]" * 1000), ""),
    "a list for a text": (_as("memo", '["a"]'), "/memo"),
    "an object for a text": (_as("client", '{"name": "a"}'), "/client"),
    "a number for a text": (_as("client", "7"), "/client"),
    "NaN for a text": (_as("client", "NaN"), ""),
    "a number of 5,000 digits for a code": (_as("status", "9" * 5000), ""),
    "a fraction for a code": (_as("status", "0.5"), "/status"),
    "30 February": (_as("startDate", '"2026-02-30T00:00:00"'), "/startDate"),
    "the year zero": (_as("startDate", '"0000-00-00T00:00:00"'), "/startDate"),
    "a control character": (_as("name", '"a\nb"'), ""),
    "no name at all": (_as("name", "null"), "/name"),
    "a stamp that is none": (_as("lastUpdated", '"soon"'), ""),
    "a code as an object": (_as("status", '{"value": 2}'), None),
    "a member twice": (_PLAIN[:-1] + ', "name": "the last one wins"}', None),
    "a parent of zeros": (_as("parentId", '"00000000-0000-0000-0000-000000000000"'), None),
    "an empty parent": (_as("parentId", '""'), None),
    "what COPY reads as NULL": (_as("name", '"\\\\N"'), None),
    "tabs, line ends and backslashes": (_as("name", '"a\\tb\\nc\\\\d"'), None),
    "letters beyond the plane": (_as("name", '"\\ud83c\\udfd7 Ü\\u202e"'), None),
}


class RawList(FakeList):
    """Gives some records as these pieces of JSON."""

    raw: dict[str, str]

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        page = super().page(query, number, size)
        parts = [
            self.raw.get(record["id"]) or json.dumps(record) for record in json.loads(page.body)
        ]
        return RawPage(f"[{','.join(parts)}]".encode(), page.provider_now)


def test_odd_records_are_loaded_or_wait_and_leave_the_rest_of_their_page_alone(engine: Any) -> None:
    listed = RawList(portfolio(40))
    keys = [f"p-{i:05d}" for i in range(3, 3 + len(ODD))]
    listed.raw = {
        key: text.replace('"p-00000"', f'"{key}"')
        for key, (text, _) in zip(keys, ODD.values(), strict=True)
    }
    hub = engine(listed)
    run = hub.run()
    bad = sum(pointer is not None for _, pointer in ODD.values())
    assert (run["created"], run["rejected"]) == (40 - bad, bad)
    projects = hub.projects()
    names = dict(zip(keys, ODD, strict=True))
    by_name = {names[key]: projects[key] for key in keys if key in projects}
    assert set(by_name) == {name for name, (_, pointer) in ODD.items() if pointer is None}
    held = hub.rows("SELECT external_id, reason, pointer FROM hub.quarantine")
    unreadable = [row for row in held if row["external_id"].startswith("digest:")]
    by_pointer = {names[r["external_id"]]: r["pointer"] for r in held if r not in unreadable}
    assert len(by_pointer) + len(unreadable) == bad
    assert by_pointer.items() <= {name: pointer for name, (_, pointer) in ODD.items()}.items()
    assert not any("xxx" in row["reason"] for row in held)
    assert by_name["what COPY reads as NULL"]["name"] == "\\N"
    assert by_name["tabs, line ends and backslashes"]["name"] == "a\tb\nc\\d"
    assert by_name["a member twice"]["name"] == "the last one wins"
    assert by_name["a code as an object"]["status"] == "completed"
