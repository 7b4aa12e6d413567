"""Which changes of a rule ask whether to read again, and what differs between two bodies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations_hub.domain.rule_change import Difference, differences, reread_reasons

BODY: dict[str, Any] = {
    "schedule": {"every": {"minutes": 15}},
    "syncMode": "delta",
    "initialSyncMode": "full_once",
    "initialSyncSince": None,
    "filters": [{"field": "status", "in": ["0", "2"]}],
    "autoCreate": False,
    "conflictPolicy": "review",
    "deletionPolicy": "ignore",
    "clientSyncPolicy": "preserve_local",
    "fieldPolicies": {"lead": "preserve_local"},
    "guard": {"maxCreatedRows": None},
    "dryRun": False,
}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"syncMode": "full"}, "/syncMode"),
        ({"initialSyncMode": "delta_only_from_now"}, "/initialSyncMode"),
        ({"initialSyncSince": "2026-01-01T00:00:00Z"}, "/initialSyncSince"),
        ({"deletionPolicy": "soft_delete"}, "/deletionPolicy"),
        ({"conflictPolicy": "upsert"}, "/conflictPolicy"),
        ({"autoCreate": True}, "/autoCreate"),
        ({"filters": []}, "/filters"),
        ({"filters": [{"field": "status", "in": ["0", "2", "3"]}]}, "/filters"),
        ({"filters": [{"field": "code", "in": ["A"]}]}, "/filters"),
        ({"clientSyncPolicy": "follow_bqe"}, "/clientSyncPolicy"),
        ({"fieldPolicies": {}}, "/fieldPolicies/lead"),
        ({"fieldPolicies": {"lead": "follow"}}, "/fieldPolicies/lead"),
    ],
)
def test_a_change_of_what_is_read_or_written_asks(change: dict[str, Any], pointer: str) -> None:
    assert [reason.pointer for reason in reread_reasons(BODY, {**BODY, **change})] == [pointer]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}},
        {"dryRun": True},
        {"guard": {"maxCreatedRows": 3}},
        {"filters": [{"field": "status", "in": ["0"]}]},
        {"filters": [{"field": "status", "in": ["0"]}, {"field": "code", "in": ["A"]}]},
        {"clientSyncPolicy": "write_once"},
        {"fieldPolicies": {"lead": "write_once", "notes": "preserve_local"}},
    ],
)
def test_a_change_that_narrows_or_concerns_the_schedule_does_not_ask(
    change: dict[str, Any],
) -> None:
    assert reread_reasons(BODY, {**BODY, **change}) == []


_FILTERS = st.lists(
    st.builds(
        lambda field, values: {"field": field, "in": values},
        st.sampled_from("ab"),
        st.lists(st.sampled_from("xyz"), min_size=1, unique=True),
    ),
    unique_by=lambda one: str(one["field"]),
)


@given(before=_FILTERS, after=_FILTERS)
def test_filters_ask_exactly_when_a_record_may_come_in_that_stayed_out(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    def lets_in(filters: list[dict[str, Any]], record: dict[str, str]) -> bool:
        return all(record[one["field"]] in one["in"] for one in filters)

    records = [{"a": a, "b": b} for a in "wxyz" for b in "wxyz"]
    wider = any(lets_in(after, one) and not lets_in(before, one) for one in records)
    asked = reread_reasons({**BODY, "filters": before}, {**BODY, "filters": after})
    assert bool(asked) is wider


def test_differences_name_each_place_once_and_lists_as_a_whole() -> None:
    before = {"a": {"b": 1, "c": 2}, "d": [1], "gone": 1}
    after = {"a": {"b": 1, "c": 3}, "d": [1, 2], "new": {"x": 1}}
    assert differences(before, after) == [
        Difference("/a/c", 2, 3),
        Difference("/d", [1], [1, 2]),
        Difference("/gone", 1, None),
        Difference("/new", None, {"x": 1}),
    ]
    assert differences(after, after) == []
