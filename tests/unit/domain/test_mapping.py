"""A record becomes a local row, or a reject that names the field and never the value."""

from __future__ import annotations

from typing import Any

import pytest

from integrations_hub.domain.conversion import strip_html
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import PROJECT
from integrations_hub.domain.mapping import Mapper
from integrations_hub.errors import RecordRejected

LINES = (
    FieldMap("name", "text", "name", required=True),
    FieldMap("code", "text", "project_number"),
    FieldMap("client", "text", "client"),
    FieldMap("client", "text", "bqe_client_name"),
    FieldMap("clientId", "id", "bqe_client_id"),
    FieldMap("status", "enum", "status", values={"0": "active", "2": "completed"}),
    FieldMap("startDate", "day", "start_date"),
    FieldMap("notes", "html", "notes"),
)
MAP = Mapper(LINES, PROJECT).record


def mapped(**record: Any) -> dict[str, str | None]:
    result = MAP({"name": "Harbour Hall", **record})
    return dict(zip(PROJECT.column_names, result.values, strict=True))


def test_each_field_fills_its_column() -> None:
    row = mapped(
        code="00123", client="Aster", clientId="c-1", status=0, startDate="2026-03-01T00:00:00"
    )
    assert row["name"] == "Harbour Hall"
    assert row["project_number"] == "00123"
    assert row["client"] == row["bqe_client_name"] == "Aster"
    assert row["bqe_client_id"] == "c-1"
    assert row["status"] == "active"
    assert row["start_date"] == "2026-03-01"
    assert row["end_date"] is None


@pytest.mark.parametrize("status", [0, "0", {"value": 0, "name": "Active"}])
def test_a_code_may_come_as_number_text_or_object(status: Any) -> None:
    assert mapped(status=status)["status"] == "active"


def test_an_unknown_code_keeps_the_local_value_and_is_reported_with_the_raw_one() -> None:
    result = MAP({"name": "A", "status": 9})
    assert dict(zip(PROJECT.column_names, result.values, strict=True))["status"] is None
    assert result.raw_status == "9"
    assert result.unknown == ("status",)


def test_an_unknown_code_is_rejected_when_the_mapping_says_so() -> None:
    strict = Mapper(
        (FieldMap("status", "enum", "status", values={"0": "a"}, unknown="reject"),), PROJECT
    ).record
    with pytest.raises(RecordRejected) as rejected:
        strict({"status": 7})
    assert rejected.value.code == "UNKNOWN_VALUE"


def test_a_zero_guid_is_no_id() -> None:
    assert mapped(clientId="00000000-0000-0000-0000-000000000000")["bqe_client_id"] is None


def test_a_project_number_is_trimmed_and_a_name_is_not() -> None:
    row = mapped(name=" Two  words ", code="  A-1 ")
    assert row["project_number"] == "A-1"
    assert row["name"] == " Two  words "


def test_markup_is_taken_out_of_html_fields() -> None:
    assert mapped(notes="<p>Roof &amp; <b>walls</b></p>")["notes"] == "Roof & walls"
    assert strip_html("plain") == "plain"


@pytest.mark.parametrize(
    ("record", "code", "pointer"),
    [
        ({"name": None}, "MISSING_VALUE", "/name"),
        ({"name": ""}, "MISSING_VALUE", "/name"),
        ({"name": "a\0b"}, "BAD_CHARACTER", "/name"),
        ({"name": "a\ud800"}, "BAD_CHARACTER", "/name"),
        ({"name": 7}, "WRONG_TYPE", "/name"),
        ({"name": "x" * 2001}, "TOO_LONG", "/name"),
        ({"code": ["a"]}, "WRONG_TYPE", "/code"),
        ({"status": True}, "WRONG_TYPE", "/status"),
        ({"status": []}, "WRONG_TYPE", "/status"),
        ({"startDate": "2026-02-31T00:00:00"}, "BAD_DAY", "/startDate"),
        ({"startDate": 20260301}, "WRONG_TYPE", "/startDate"),
    ],
)
def test_a_record_that_cannot_be_stored_names_field_and_cause(
    record: dict[str, Any], code: str, pointer: str
) -> None:
    with pytest.raises(RecordRejected) as rejected:
        MAP({"name": "fine", **record})
    assert (rejected.value.code, rejected.value.pointer) == (code, pointer)


def test_a_reject_never_quotes_the_value() -> None:
    with pytest.raises(RecordRejected) as rejected:
        MAP({"name": "fine", "startDate": "secret-looking-value"})
    assert "secret-looking-value" not in str(rejected.value)
