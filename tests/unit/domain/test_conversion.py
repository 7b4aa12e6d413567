"""What a mapping line may do to a value, step by step, and how both ways of mapping stay one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations_hub.domain.conversion import strip_html
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import PROJECT
from integrations_hub.domain.mapping import Mapper
from integrations_hub.errors import RecordRejected


def one(
    record: dict[str, Any], source_type: str = "text", target: str = "lead", **line: Any
) -> Any:
    """The value that one line makes of a record's field `a`."""
    made = Mapper([FieldMap("a", source_type, target, **line)], PROJECT).record(record)
    return made.values[PROJECT.column_names.index(target)]


@pytest.mark.parametrize(
    ("value", "line", "expected"),
    [
        ("  Ada  ", {}, "  Ada  "),
        ("  Ada  ", {"trim": True}, "Ada"),
        ("  ", {"trim": True, "default": "nobody"}, "nobody"),
        (None, {"default": "nobody"}, "nobody"),
        ("", {"default": "nobody"}, "nobody"),
        ("", {}, ""),
        (None, {}, None),
        ("straße", {"case": "upper"}, "STRASSE"),
        ("ADA", {"case": "lower"}, "ada"),
        ("ada o'NEIL  smith-jones", {"case": "title"}, "Ada O'neil  Smith-jones"),
        ("31.12.2026", {"date_in": "%d.%m.%Y"}, "2026-12-31"),
        (" 31.12.2026 ", {"date_in": "%d.%m.%Y", "date_out": "%m/%d/%y"}, "12/31/26"),
        ("0987-06-05T00:00:00", {"date_out": "%d.%m.%Y"}, "05.06.0987"),
        ("", {"date_in": "%d.%m.%Y"}, None),
        ("1.005", {"decimals": 2}, "1.00"),
        ("1e3", {"decimals": 1}, "1000.0"),
        ("", {"decimals": 1}, None),
        ("a-b", {"constant": "always"}, "always"),
        ("on", {"values": {"on": "yes"}, "unknown": "null"}, "yes"),
        ("ON", {"values": {"on": "yes"}, "unknown": "null"}, None),
        (
            " on ",
            {"values": {"on": "yes"}, "unknown": "null", "trim": True, "case": "upper"},
            "YES",
        ),
        ("off", {"values": {"on": "yes"}, "unknown": "null", "default": "no"}, "no"),
    ],
)
def test_a_step_makes_of_a_value(value: Any, line: dict[str, Any], expected: str | None) -> None:
    assert one({"a": value}, **line) == expected


@pytest.mark.parametrize(
    ("value", "kind", "line", "expected"),
    [
        (7, "integer", {}, "7"),
        (True, "boolean", {}, "true"),
        (Decimal("0.10"), "decimal", {}, "0.10"),
        (Decimal("2.675"), "decimal", {"decimals": 2}, "2.68"),
        (True, "boolean", {"values": {"true": "yes", "false": "no"}, "unknown": "reject"}, "yes"),
        ("<p>a &amp; b</p>", "html", {"case": "upper"}, "A & B"),
        ("00000000-0000-0000-0000-000000000000", "id", {"default": "none"}, "none"),
    ],
)
def test_a_type_reads_its_value(value: Any, kind: str, line: dict[str, Any], expected: str) -> None:
    assert one({"a": value}, kind, **line) == expected


def test_several_fields_are_joined_without_the_empty_ones() -> None:
    def joined(**record: Any) -> Any:
        also = (("b", "text"), ("c", "integer"))
        return one(record, also=also, separator=" - ", default="none")

    assert joined(a="A", b="B", c=3) == "A - B - 3"
    assert joined(a="A", b=None, c=0) == "A - 0"
    assert joined(a="", b="B") == "B"
    assert joined() == "none"


@pytest.mark.parametrize(
    ("value", "kind", "line", "code"),
    [
        ("2026-12-31", "text", {"date_in": "%d.%m.%Y"}, "BAD_DAY"),
        ("12", "text", {"date_out": "%d.%m.%Y"}, "BAD_DAY"),
        ("twelve", "text", {"decimals": 2}, "BAD_NUMBER"),
        ("NaN", "text", {"decimals": 2}, "BAD_NUMBER"),
        ("1e999999", "text", {"decimals": 2}, "BAD_NUMBER"),
        pytest.param(10**5000, "integer", {}, "TOO_LONG", id="5000 digits"),
        ("x" * 1001, "text", {"trim": True}, "TOO_LONG"),
        ("a\0b", "text", {"case": "upper"}, "BAD_CHARACTER"),
        (["a"], "text", {"also": (("b", "text"),)}, "WRONG_TYPE"),
        ("x", "text", {"values": {"on": "yes"}, "unknown": "reject"}, "UNKNOWN_VALUE"),
        ("  ", "text", {"trim": True, "required": True}, "MISSING_VALUE"),
    ],
)
def test_a_value_that_no_step_can_take_is_a_reject_with_its_field(
    value: Any, kind: str, line: dict[str, Any], code: str
) -> None:
    with pytest.raises(RecordRejected) as rejected:
        one({"a": value}, kind, **line)
    assert (rejected.value.code, rejected.value.pointer) == (code, "/a")


def test_text_without_markup_is_read_as_with_it() -> None:
    assert strip_html("  plain > text ") == strip_html("<b></b>  plain &gt; text ")


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 1001, 7])
def test_a_page_of_plain_texts_refuses_what_its_records_would_refuse(odd: Any) -> None:
    with pytest.raises(RecordRejected):
        Mapper([FieldMap("a", "text", "lead")], PROJECT).page({"a": ["fine", None, odd]}, 3)


# --- a page and its records one by one give the same ---

_TEXTS = st.none() | st.sampled_from(
    ["", " ", "A-1", " b ", "Größe", "a\0", "\ud800", "x" * 300, "2026-01-31T00:00:00", "2026-02-31",
     "00000000-0000-0000-0000-000000000000", "\\N", "tab\there", "7", "<i>x</i>&amp;"]
)  # fmt: skip
_ODD = st.sampled_from([7, True, 1.5, [], {}, {"value": 0}, {"value": True}, 0, 2])
_LINES = st.builds(
    FieldMap,
    source=st.sampled_from(["a", "b"]),
    source_type=st.sampled_from(["text", "id", "html", "day", "enum", "integer", "boolean"]),
    target=st.just("?"),
    required=st.booleans(),
    values=st.none() | st.just({"0": "zero", "A-1": "one", "true": "yes", "7": "seven"}),
    unknown=st.sampled_from(["keep_local", "reject", "null"]),
    also=st.sampled_from([(), (("b", "text"),)]),
    trim=st.booleans(),
    case=st.sampled_from([None, None, "upper", "title"]),
    date_in=st.sampled_from([None, None, None, "%Y-%m-%d"]),
    decimals=st.sampled_from([None, None, None, 2]),
    default=st.sampled_from([None, None, "fallback"]),
    constant=st.sampled_from([None, None, None, "fixed"]),
)
_TARGETS = ["project_number", "name", "start_date", "status", "notes"]


def _by_record(mapper: Mapper, records: list[dict[str, Any]]) -> tuple[Any, ...] | None:
    rows, raws, unknown = [], [], {}
    for record in records:
        try:
            made = mapper.record(record)
        except RecordRejected:
            return None
        rows.append(made.values)
        raws.append(made.raw_status)
        for name in made.unknown:
            unknown[name] = unknown.get(name, 0) + 1
    return rows, raws, unknown


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_LINES, min_size=1, max_size=5),
    st.lists(st.fixed_dictionaries({"a": _TEXTS | _ODD, "b": _TEXTS}), min_size=1, max_size=6),
)
def test_a_page_maps_as_its_records_do(
    drawn: list[FieldMap], records: list[dict[str, Any]]
) -> None:
    """Page by page is a shortcut: it gives exactly the same rows, or refuses the page as a whole."""
    lines = [
        FieldMap(**{**vars(line), "target": target, "values": None if line.also else line.values})
        for line, target in zip(drawn, _TARGETS, strict=False)
    ]
    mapper = Mapper(lines, PROJECT)
    expected = _by_record(mapper, records)
    fields = {name: [record[name] for record in records] for name in ("a", "b")}
    try:
        page = Mapper(lines, PROJECT).page(fields, len(records))
    except RecordRejected:
        assert expected is None
        return
    rows = list(zip(*page.columns, strict=True))
    assert expected == (rows, list(page.raw_status), dict(page.unknown))
