"""A mapping document: what is accepted, and how everything else is named by its pointer."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from integrations_hub.catalog import mapping_form
from integrations_hub.catalog.build import object_of
from integrations_hub.errors import MappingInvalid
from tests.kit.mappings import default_lines, projects
from tests.kit.provider_json import ACME


def _problems(lines: Any) -> dict[str, str]:
    with pytest.raises(MappingInvalid) as invalid:
        mapping_form.validate(projects(), lines)
    return {problem["pointer"]: problem["message"] for problem in invalid.value.problems}


@pytest.mark.parametrize("obj", [projects(), object_of("widgets", ACME["objects"]["widgets"])])
def test_the_schema_is_one_and_the_default_mapping_fits_it(obj: Any) -> None:
    Draft202012Validator.check_schema(mapping_form.schema(obj))
    lines = mapping_form.default_lines(obj)
    assert mapping_form.validate(obj, lines) == lines


def test_the_schema_offers_real_fields_and_columns_only() -> None:
    names = mapping_form.schema(projects())["items"]["properties"]
    assert "name" in names["source"]["enum"]
    assert "hasChild" not in names["source"]["enum"]  # not requestable
    assert "token" not in names["source"]["enum"]  # denied
    assert "bqe_client_name" in names["target"]["enum"]
    assert "id" not in names["target"]["enum"]


@pytest.mark.parametrize(
    ("line", "pointer", "says"),
    [
        ({"source": "clint"}, "/0/source", 'did you mean "client"?'),
        ({"source": "client", "wat": 1}, "/0/wat", "a known name"),
        ({}, "/0", "source or constant"),
        ({"source": "client", "constant": "x"}, "/0", "source or constant"),
        ({"constant": "x", "trim": True}, "/0/trim", "nothing beside a constant"),
        ({"source": "client", "case": "LOUD"}, "/0/case", "upper"),
        ({"source": "client", "decimals": 9}, "/0/decimals", "at most 6"),
        ({"source": "client", "also": ["client"]}, "/0/also", "other fields"),
        ({"source": "client", "readDate": "day"}, "/0/readDate", "%d.%m.%Y"),
        ({"source": "client", "writeDate": "%d.%m.%Y"}, "/0/readDate", "the form"),
        ({"source": "client", "default": "x" * 256}, "/0/default", "at most 255"),
        ({"source": "client", "values": {"a": "b"}, "unknown": "keep_local"}, "/0/unknown", "reject or null"),
        ({"source": "status", "values": {"7": "b"}}, "/0/values/7", "a known code"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_work_is_named_by_its_pointer(
    line: dict[str, Any], pointer: str, says: str
) -> None:
    lines = [{"target": "lead", **line}, *default_lines(lead=None)]
    assert says in _problems(lines)[pointer]


@pytest.mark.parametrize(
    ("target", "line", "pointer"),
    [
        ("start_date", {"source": "client"}, "source"),
        ("start_date", {"constant": "soon"}, "constant"),
        ("start_date", {"source": "startDate", "default": "soon"}, "default"),
        ("start_date", {"source": "startDate", "writeDate": "%d"}, "writeDate"),
        ("status", {"source": "status"}, "values"),
        ("status", {"source": "status", "values": {"0": "a"}, "unknown": "null"}, "unknown"),
        ("project_number", {"constant": "\0"}, "constant"),
    ],
)
def test_a_line_must_fit_its_column(target: str, line: dict[str, Any], pointer: str) -> None:
    lines = [{"target": target, **line}, *default_lines(**{target: None})]
    assert f"/0/{pointer}" in _problems(lines)


def test_each_column_is_filled_once_and_what_a_row_needs_is_filled() -> None:
    twice = [*default_lines(), {"target": "lead", "constant": "x"}]
    assert "each column once" in _problems(twice)[f"/{len(twice) - 1}/target"]
    assert _problems(default_lines(name=None)) == {"": "expected a line that fills name; got none"}


def test_all_problems_are_named_at_once() -> None:
    lines = [{"target": "x", "constant": "y"}, {"target": "name", "source": "nope"}]
    assert set(_problems(lines)) == {"/0/target", "/1/source"}


@pytest.mark.parametrize("document", [None, {}, [], "x", [1]])
def test_what_is_no_list_of_lines_is_refused(document: Any) -> None:
    assert _problems(document)


def test_a_day_may_be_read_from_a_text_in_its_form() -> None:
    lines = default_lines(start_date={"source": "code", "readDate": "%d.%m.%Y"})
    made = [
        mapping_form.field_map(projects(), line)
        for line in mapping_form.validate(projects(), lines)
    ]
    assert made[-1].date_in == "%d.%m.%Y"
