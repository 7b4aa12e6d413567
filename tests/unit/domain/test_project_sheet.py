"""Sheets of projects: cells are read with a reason when they can't be, and formulas never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations_hub.domain.project_sheet import columns_of, escaped, read_row, unescaped


@given(st.text())
def test_what_is_escaped_comes_back_exactly(text: str) -> None:
    assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_no_cell_starts_as_a_formula(start: str) -> None:
    assert escaped(f"{start}cmd|' /C calc'!A0").startswith("'")
    assert escaped(f"'{start}x").startswith("''")


def test_an_apostrophe_of_a_person_stays() -> None:
    assert unescaped("'t Huis") == escaped("'t Huis") == "'t Huis"


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("name", "", "is empty"),
        ("status", "", "is empty"),
        ("status", "On Hold!", "is no status"),
        ("start_date", "31.01.2026", "expected YYYY-MM-DD"),
        ("end_date", "2026-02-30", "expected YYYY-MM-DD"),
        ("end_date", "20260230xx", "expected YYYY-MM-DD"),
        ("client", "a\0b", "cannot be stored"),
        ("project_number", "9" * 256, "longer than 255"),
        ("id", "12x", "is no project id"),
        ("id", "0", "is no project id"),
        ("id", str(2**63), "is no project id"),
    ],
)
def test_a_bad_cell_is_named_with_line_column_and_reason(column: str, cell: str, says: str) -> None:
    columns, cells = ["name", column], ["Tower", cell]
    if column == "name":
        columns, cells = ["name"], [cell]
    row, (problem,) = read_row(7, columns, cells)
    assert row is None
    assert (problem.line, problem.column) == (7, column)
    assert says in problem.message


def test_empty_cells_are_null_and_read_only_columns_are_ignored() -> None:
    row, problems = read_row(
        2,
        ["id", "name", "client", "bqe_client_name", "is_active"],
        [" 5 ", "Tower ", "", "x", "no"],
    )
    assert problems == []
    assert row is not None
    assert (row.id, dict(row.values)) == (5, {"name": "Tower ", "client": None})


def test_a_header_says_what_is_unknown_doubled_or_missing() -> None:
    names, problems = columns_of(["ID", "Project Number", "colour", "id"])
    assert names == ["id", "project_number", "colour", "id"]
    assert [str(p) for p in problems] == [
        "line 1, column colour: is unknown; expected some of id, project_number, name, client, status, start_date, "
        "end_date, lead, notes, is_active, scope, deleted_at, bqe_client_name, bqe_client_id",
        "line 1, column id: stands twice",
    ]
    _, (nothing,) = columns_of(["id", "scope"])
    assert "no column can be imported" in nothing.message


def test_more_cells_than_the_header_is_a_problem_but_trailing_blanks_are_not() -> None:
    assert read_row(2, ["name"], ["A", "", " "])[1] == []
    assert read_row(2, ["name"], ["A", "", "B"])[1][0].message == "has more cells than the header"
