"""The `where` language."""

from __future__ import annotations

import pytest

from providers.bqe.sandbox import where
from providers.bqe.sandbox.predicates import WhereFieldError, WhereSqlError, WhereSyntaxError
from providers.bqe.sandbox.schema import SCHEMAS, ZERO_GUID

PROJECT = SCHEMAS["project"]
ROW = {
    "id": "aaaaaaaa-0000-4000-8000-000000000001",
    "code": "O'Brien 7",
    "name": "Harbour Library",
    "status": 0,
    "parentId": None,
    "dueDate": None,
    "lastUpdated": "2025-03-01T10:00:00.5",
}


def kept(clause: str, row: dict[str, object] | None = None) -> bool:
    return where.parse(clause, PROJECT).test(row or ROW) is True


@pytest.mark.parametrize(
    "clause",
    [
        "status=0",
        "status = 0 and name='harbour library'",
        "CODE='O''Brien 7'",
        "[code] <> 'x' AND ([status]=1 OR status != 2)",
        "lastUpdated >= '2025-03-01T10:00:00'",
        "lastUpdated>'2025-03-01T10:00:00.49'",
        "lastUpdated <= '2025-03-01T10:00:00.500'",
        "lastUpdated < '2025-03-02'",
        "parentId is null",
        "not parentId is not null",
        "name like 'Harb%' and name not like '_x%'",
        "status in (3, 0)",
        "id='AAAAAAAA-0000-4000-8000-000000000001'",
        "status > -1.5 and status < 1",
    ],
)
def test_clause_keeps_the_row(clause: str) -> None:
    assert kept(clause)


@pytest.mark.parametrize(
    "clause",
    [
        "status=1",
        "lastUpdated > '2025-03-01T10:00:00.5'",
        "status=1 or status=2 and status=0",
        "not (status=0)",
        "name='x' or (code='y' and status=0)",
        "status not in (0)",
        "parentId is not null",
    ],
)
def test_clause_drops_the_row(clause: str) -> None:
    assert not kept(clause)


@pytest.mark.parametrize("clause", ["dueDate < '2026-01-01'", "not dueDate < '2026-01-01'"])
def test_comparison_with_null_is_never_true(clause: str) -> None:
    assert not kept(clause)


@pytest.mark.parametrize("parent", [None, "", ZERO_GUID])
def test_zero_guid_counts_as_null_by_default(parent: str | None) -> None:
    assert kept("parentId is null", {**ROW, "parentId": parent})


def test_zero_guid_is_a_value_when_the_switch_says_so() -> None:
    node = where.parse("parentId is null", PROJECT, zero_guid_is_null=False)
    assert node.test({**ROW, "parentId": ZERO_GUID}) is False


def test_floors_are_told_apart_from_other_conjuncts() -> None:
    node = where.parse("lastUpdated >= '2025-01-01' and (status=0 and type=1)", PROJECT)
    assert [part.floor for part in node.conjuncts()] == [(">=", "2025-01-01T00:00:00"), None, None]


@pytest.mark.parametrize("name", ["memo", "nothing", "hasChild"])
def test_field_that_is_not_filterable_is_named(name: str) -> None:
    with pytest.raises(WhereFieldError, match=f"^{name}$"):
        where.parse(f"{name} = 'x'", PROJECT)


@pytest.mark.parametrize(
    "literal", ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00+01:00", "yesterday", "01/02/2025"]
)
def test_datetime_of_another_form_fails_in_the_sql_layer(literal: str) -> None:
    with pytest.raises(WhereSqlError):
        where.parse(f"lastUpdated >= '{literal}'", PROJECT)


@pytest.mark.parametrize("clause", ["status='x'", "id='12'", "parentId in ('a')"])
def test_literal_of_another_type_fails_in_the_sql_layer(clause: str) -> None:
    with pytest.raises(WhereSqlError):
        where.parse(clause, PROJECT)


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        ("[11000 = 1", "closing square bracket after the identifier"),
        ("name = 'x", "Unclosed quotation mark"),
        ("status = ", "end of clause"),
        ("status", "end of clause"),
        ("status = 0 status = 1", "near 'status'"),
        ("(status = 0", "end of clause"),
        ("status is 0", "near '0'"),
        ("status not = 0", "near 'not'"),
        ("status = name", "near 'name'"),
        ("status in ()", r"near '\)'"),
        ("name like 5", "quoted pattern"),
        ("= 5", "near '='"),
        ("status ; 1", "near ';'"),
        ("(" * 60 + "status=0" + ")" * 60, "nested too deeply"),
    ],
)
def test_syntax_error_says_where(clause: str, words: str) -> None:
    with pytest.raises(WhereSyntaxError, match=words):
        where.parse(clause, PROJECT)


@pytest.mark.parametrize(
    ("clause", "operator"),
    [
        ("parentId is null", "is null"),
        ("parentId is not null", "is not null"),
        ("name like 'x'", "like"),
        ("status in (1)", "in"),
    ],
)
def test_optional_operator_can_be_refused(clause: str, operator: str) -> None:
    others = frozenset(where.OPTIONAL_OPERATORS) - {operator}
    with pytest.raises(WhereSyntaxError, match=f"'{operator}' is not supported"):
        where.parse(clause, PROJECT, operators=others)
