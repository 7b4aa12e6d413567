import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations_hub.catalog.build import object_of
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.records import Envelope, elements, page_decoder, payload_decoder
from integrations_hub.errors import PageUnreadable, RecordRejected
from tests.kit.provider_json import ACME

WIDGETS = object_of("widgets", ACME["objects"]["widgets"])
read = payload_decoder(WIDGETS)


def decode(body: bytes, obj: ObjectMeta = WIDGETS) -> list[Envelope]:
    """The page's records one by one."""
    page = page_decoder(obj)(body)
    assert page.places == range(len(page))
    problems = page.problems or [None] * len(page)
    rows = zip(page.external_ids, page.parent_ids, page.stamps, problems, strict=True)
    return [Envelope(*row) for row in rows]


def _one(text: str) -> Envelope:
    [found] = decode(f"[{text}]".encode())
    return found


def test_elements_are_the_records_as_sent() -> None:
    records = ['{ "id":"a",  "title":"Caf\u00e9 \\u00e9 \\"x\\"", "n":1.10 }', '{"id": 2}']
    page = "[\n " + " ,\n ".join(records) + "\n]"
    assert [bytes(element).decode() for element in elements(page.encode())] == records


def test_a_page_with_one_odd_record_is_read_as_without_it() -> None:
    """The usual page is decoded at once, any other record by record: the same envelopes come out."""
    usual = [
        '{"id":"a","parent":"0","changed":"2026-01-02T03:04:05.1234567"}',
        '{"id":"b","parent":"a","changed":"2026-01-02T03:04:05+02:00","title":7}',
        '{"id":"c","changed":null}',
    ]
    expected = decode(f"[{','.join(usual)}]".encode())
    assert decode(f"[{','.join([*usual, '{}'])}]".encode())[:-1] == expected


def test_envelope_reads_id_parent_and_stamp() -> None:
    found = _one('{"id":"a1","parent":"p1","changed":"2026-01-02T03:04:05.5","title":"T"}')
    assert (found.external_id, found.parent_id, found.problem) == ("a1", "p1", None)
    assert found.stamp == datetime(2026, 1, 2, 3, 4, 5, 500000)


def test_empty_page_has_no_records() -> None:
    assert decode(b"[]") == decode(b" [ ] ") == []


@pytest.mark.parametrize("parent", ["", ',"parent":null', ',"parent":""', ',"parent":"0"'])
def test_empty_parent_means_top_level(parent: str) -> None:
    found = _one(f'{{"id":"a"{parent}}}')
    assert (found.external_id, found.parent_id, found.problem) == ("a", None, None)


def test_object_without_hierarchy_has_no_parents() -> None:
    [found] = decode(b'[{"id":"a","parent":"b"}]', replace(WIDGETS, hierarchy=None))
    assert (found.external_id, found.parent_id, found.problem) == ("a", None, None)


@pytest.mark.parametrize(
    ("ident", "text"), [("7", "7"), ("0", "0"), ("9007199254740993", "9007199254740993")]
)
def test_whole_number_is_an_id(ident: str, text: str) -> None:
    found = _one(f'{{"id":{ident},"parent":{ident}}}')
    assert (found.external_id, found.parent_id, found.problem) == (text, text, None)


@pytest.mark.parametrize(
    ("ident", "problem"),
    [
        ("null", "id is missing"),
        ('""', "id is missing"),
        ('"  "', "id is missing"),
        ("[]", "id is neither text nor a whole number"),
        ("{}", "id is neither text nor a whole number"),
        ("true", "id is neither text nor a whole number"),
        ("1.5", "id is neither text nor a whole number"),
        ("123456789012345678901234567890", "id is neither text nor a whole number"),
        ('"a\\u0000b"', "id holds a character that cannot be stored"),
        (f'"{"x" * 201}"', "id is longer than 200 characters"),
        ("1e400", "the record is not an object with readable fields"),
    ],
)
def test_weird_id_is_that_records_problem(ident: str, problem: str) -> None:
    good, bad = decode(f'[{{"id":"ok"}},{{"id":{ident}}}]'.encode())
    assert (good.external_id, good.problem) == ("ok", None)
    assert (bad.external_id, bad.problem) == (None, problem)


def test_longest_id_is_accepted() -> None:
    assert _one(f'{{"id":"{"x" * 200}"}}').problem is None


@pytest.mark.parametrize("parent", ["[]", "{}", "true", "1.5", f'"{"x" * 201}"', '" "'])
def test_record_with_a_weird_parent_is_never_taken_for_a_root(parent: str) -> None:
    found = _one(f'{{"id":"a","parent":{parent}}}')
    assert found.external_id == "a"
    assert found.problem is not None
    assert found.problem.startswith("parent ")


@pytest.mark.parametrize("stamp", ['"yesterday"', '"2026-13-01T00:00:00"', "5", "{}", '""'])
def test_bad_stamp_is_a_problem_and_no_stamp(stamp: str) -> None:
    found = _one(f'{{"id":"a","changed":{stamp}}}')
    assert (found.stamp, found.problem) == (None, "changed is not a date and time")


@pytest.mark.parametrize("stamp", ["", ',"changed":null'])
def test_absent_stamp_is_no_problem(stamp: str) -> None:
    found = _one(f'{{"id":"a"{stamp}}}')
    assert (found.stamp, found.problem) == (None, None)


@pytest.mark.parametrize("record", ["1", '"text"', "null", "[]", "true"])
def test_record_that_is_no_object_has_a_problem(record: str) -> None:
    good, bad = decode(f'[{{"id":"ok"}},{record}]'.encode())
    assert good.problem is None
    assert bad.external_id is None
    assert bad.problem == "the record is not an object with readable fields"


BEYOND_US = [
    b'{"id":"x","deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"id":"x","deep":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    b'{"id":"x","title":"\\ud800"}',
    b'{"id":"x","title":"\\udc00 [ , ] } \\" "}',
    b'{"id":"x","n":NaN}',
    b'{"id":"x","title":"\xff"}',
    b'{"id":"\xff"}',
]


@pytest.mark.parametrize(
    "record", BEYOND_US, ids=["lists", "objects", "surrogate", "surrogate_2", "nan", "bytes", "id"]
)
def test_record_beyond_us_does_not_hide_the_others(record: bytes) -> None:
    page = b'[{"id":"a","t":"]},["},\n' + record + b' ,{"id":"b"}]'
    first, bad, last = decode(page)
    assert (first.external_id, first.problem) == ("a", None)
    assert (last.external_id, last.problem) == ("b", None)
    assert (bad.external_id, bad.problem) == (
        None,
        "the record cannot be read (damaged text or nested too deep)",
    )
    assert len(elements(page)) == 3


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{}",
        b"null",
        b'"text"',
        b"<html>down</html>",
        b'[{"id":"a"},',
        b'[{"id":"a"},]',
        b"[,]",
        b'[{"id":"a"}] x',
        b'[{"id":"a"}][]',
        b'[{"id":"a}]',
        b'[{"id":a}]',
        b'[{"id":"a"]}',
        b"[}",
        b'["' + b'\\"' * 50_000 + b"]",
        b"[" * 50_000,
        b"[" + b'{"value":' * 50_000 + b"]",
        b'{"value":[{"id":"a"}]}',
        b"\xff\xfe",
    ],
)
def test_page_that_is_no_json_array_is_unreadable(page: bytes) -> None:
    with pytest.raises(PageUnreadable):
        decode(page)


def test_message_of_an_unreadable_page_quotes_nothing_of_it() -> None:
    with pytest.raises(PageUnreadable) as caught:
        decode(b'{"client":"Secret Ltd"}')
    assert "Secret" not in caught.value.message


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text()
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        _values | st.dictionaries(st.sampled_from(["id", "parent", "changed", "title"]), _values)
    ),
    st.booleans(),
)
def test_every_json_array_yields_one_envelope_per_element(
    page: list[Any], ascii_only: bool
) -> None:
    body = json.dumps(page, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    envelopes = decode(body)
    assert len(envelopes) == len(page)
    for envelope, element in zip(envelopes, elements(body), strict=True):
        assert envelope.problem is not None or envelope.external_id is not None
        if envelope.problem is None:
            assert json.loads(bytes(element))["id"] is not None
            read(element)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}",:\\ud8a01eN ', max_size=40).map(str.encode))
def test_no_bytes_raise_anything_but_page_unreadable(body: bytes) -> None:
    try:
        decode(body)
    except PageUnreadable:
        return


def test_payload_keeps_decimals_exact() -> None:
    assert read('{"a":0.1,"b":1000000000.01,"c":7,"d":1e2}') == {
        "a": Decimal("0.1"),
        "b": Decimal("1000000000.01"),
        "c": 7,
        "d": Decimal("1E+2"),
    }


def test_payload_keeps_leading_zeros_of_text() -> None:
    assert read('{"code":"00123"}') == {"code": "00123"}


@pytest.mark.parametrize(
    "payload",
    ["", "[]", "null", '{"a":', '{"a":"\\ud800"}', '{"a":' + "[" * 5000 + "]" * 5000 + "}"],
)
def test_unreadable_payload_is_a_rejected_record(payload: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        read(payload)
    assert (caught.value.message, caught.value.code) == (
        "a record of Widgets cannot be read",
        "MALFORMED",
    )
