"""The seeded and the bulk portfolio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from providers.bqe.sandbox import bulk, portfolio
from providers.bqe.sandbox.schema import SCHEMAS, ZERO_GUID
from providers.bqe.sandbox.state import Sandbox, SandboxConfig

SEEDED = list(portfolio.projects("A", 7))
ROOTS = [row for row in SEEDED if portfolio.is_root(row)]


def test_seed_has_the_promised_truth() -> None:
    assert portfolio.truth(SEEDED) == {
        "roots": 120,
        "children": 900,
        "rejected": 3,
        "loadable": 117,
    }


def test_seed_is_the_same_in_every_process() -> None:
    assert list(portfolio.projects("A", 7)) == SEEDED
    assert list(portfolio.projects("A", 8)) != SEEDED


def test_rejected_roots_stand_in_the_readme() -> None:
    readme = (Path(portfolio.__file__).parent / "README.md").read_text(encoding="utf-8")
    rejected = [row["id"] for row in ROOTS if portfolio.must_be_rejected(row)]
    assert len(rejected) == 3
    assert all(record_id in readme for record_id in rejected)


def test_every_row_carries_all_fields_in_answer_order() -> None:
    assert {tuple(row) for row in SEEDED} == {tuple(SCHEMAS["project"].kinds)}


def test_seed_holds_the_oddities() -> None:
    codes = [str(row["code"]) for row in ROOTS]
    assert {"00123", "O'Brien 7", "24/018/B-2", "MixedCase-1", "MIXEDCASE-1"} <= set(codes)
    assert max(map(len, codes)) == 65
    assert {row["status"] for row in ROOTS} == {0, 1, 2, 3, 4, 9}
    assert Counter(row["level"] for row in SEEDED).keys() == {0, 1, 2, 3}
    assert max(Counter(row["name"] for row in ROOTS).values()) == 2
    assert [row for row in ROOTS if row["parentId"] == ZERO_GUID]
    assert all(row["rootProjectId"] is None for row in ROOTS)
    ids = {row["id"] for row in SEEDED}
    orphans = [row for row in SEEDED if not portfolio.is_root(row) and row["parentId"] not in ids]
    assert len(orphans) == 1


@pytest.mark.parametrize(
    ("change", "rejected"),
    [
        ({"name": None}, True),
        ({"name": ""}, True),
        ({"name": " "}, False),
        ({"memo": "a\x00b"}, True),
        ({"messageOnInvoice": "a\x00b"}, False),
        ({"name": "a\x00b"}, True),
        ({"dueDate": "2026-02-31T00:00:00"}, True),
        ({"dueDate": None}, False),
        ({"status": 77}, False),
    ],
)
def test_rejection_is_judged_from_the_row(change: dict[str, object], rejected: bool) -> None:
    good = next(row for row in ROOTS if not portfolio.must_be_rejected(row))
    assert portfolio.must_be_rejected({**good, **change}) is rejected


def test_bulk_portfolio_is_loadable_and_of_the_promised_size() -> None:
    rows = list(bulk.projects("A", 7, 1000))
    assert portfolio.truth(rows) == {
        "roots": 800,
        "children": 200,
        "rejected": 0,
        "loadable": 800,
    }
    ids = {row["id"] for row in rows}
    assert len(ids) == 1000
    assert all(row["parentId"] in ids for row in rows if row["parentId"])
    assert {len(row) for row in rows} == {42}
    assert set(rows[0]) <= set(SCHEMAS["project"].kinds)
    assert 1200 < len(msgspec.json.encode(rows)) / 1000 < 1400
    assert len({row["lastUpdated"] for row in rows}) == 1000


@pytest.mark.parametrize("entity", sorted(SCHEMAS))
def test_every_resource_carries_exactly_its_fields(entity: str) -> None:
    rows = Sandbox(SandboxConfig()).table("A", entity).rows
    assert rows
    assert {frozenset(row) for row in rows.values()} == {frozenset(SCHEMAS[entity].kinds)}


def test_companies_share_no_record() -> None:
    sandbox = Sandbox(SandboxConfig())
    first, second = (set(sandbox.table(key, "project").rows) for key in "AB")
    assert second
    assert not first & second
    assert not sandbox.table("C", "project").rows
