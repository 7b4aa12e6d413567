"""Filters: a record is let in by every one of them, and a page is judged as its records are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from integrations_hub.domain.record_filter import RecordFilter

_VALUES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["0", "1", "A", "true"])
_RECORDS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"a": _VALUES | st.fixed_dictionaries({"value": _VALUES}), "b": _VALUES}
    ),
    max_size=5,
)
_FILTERS = st.lists(
    st.builds(
        lambda field, values: {"field": field, "in": values},
        st.sampled_from("ab"),
        st.lists(st.sampled_from(["0", "1", "A", True, False]), min_size=1, max_size=3),
    ),
    unique_by=lambda one: str(one["field"]),
)


def test_codes_come_as_number_text_or_object() -> None:
    status = RecordFilter([{"field": "status", "in": ["0"]}])
    assert [status.takes({"status": one}) for one in (0, "0", {"value": 0}, {"value": "0"})] == [
        True
    ] * 4
    assert [status.takes({"status": one}) for one in (2, None, False, {}, [0])] == [False] * 5
    assert not status.takes({})


def test_truth_is_neither_one_nor_a_text() -> None:
    billable = RecordFilter([{"field": "billable", "in": [True]}])
    assert [billable.takes({"billable": one}) for one in (True, False, 1, "true", None)] == [
        True, False, False, False, False,
    ]  # fmt: skip


@given(records=_RECORDS, filters=_FILTERS)
def test_a_page_is_judged_as_its_records_are(
    records: list[dict[str, Any]], filters: list[dict[str, Any]]
) -> None:
    one = RecordFilter(filters)
    columns = {name: [record.get(name) for record in records] for name in one.fields}
    judged = [flag for _, flag in zip(records, one.each(columns), strict=False)]
    assert judged == [one.takes(record) for record in records]
