import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from integrations_hub.catalog import rule_form
from integrations_hub.catalog.build import object_of
from integrations_hub.catalog.metadata import (
    Capabilities,
    DefaultMapping,
    Field,
    MappingEntry,
    ObjectMeta,
)
from integrations_hub.errors import RuleInvalid
from tests.kit.provider_json import ACME

WIDGETS = object_of("widgets", ACME["objects"]["widgets"])
WITH_CLIENT = replace(
    WIDGETS,
    mapping=DefaultMapping(1, (MappingEntry("title", "client", False, None, "keep_local"),)),
)
FULL_ONLY = replace(WIDGETS, capabilities=Capabilities(full=True, delta=False))
NOW = datetime(2026, 11, 27, 8, tzinfo=timezone.utc)


def _field(key: str, kind: str, **more: Any) -> Field:
    flags = {
        "nullable": True,
        "identity": False,
        "pii": False,
        "filterable": True,
        "sortable": False,
    }
    rest = {"requestable": True, "max_length": None, "enum": None, "evidence": "guess"}
    return Field(key=key, label=key, type=kind, **{**flags, **rest, **more})


FILTERED = replace(
    WITH_CLIENT,
    fields={
        "code": _field("code", "text", max_length=65),
        "status": _field("status", "enum", enum={"0": "Active", "2": "Completed"}),
        "billable": _field("billable", "boolean"),
        "level": _field("level", "integer"),
        "memo": _field("memo", "text", filterable=False),
        "hidden": _field("hidden", "text", requestable=False),
    },
)
AFTER_DATE = {
    "initialSyncMode": "delta_only_after_date",
    "initialSyncSince": "2026-01-31T00:00:00Z",
}


def _problems(body: Any, obj: ObjectMeta = WITH_CLIENT) -> list[tuple[str, str]]:
    with pytest.raises(RuleInvalid) as caught:
        rule_form.validate(obj, body)
    assert all(problem["pointer"] in caught.value.message for problem in caught.value.problems)
    return [(problem["pointer"], problem["message"]) for problem in caught.value.problems]


def test_empty_body_gets_every_default() -> None:
    assert rule_form.validate(WITH_CLIENT, {}) == {
        "schedule": {"every": {"minutes": 15}},
        "syncMode": "delta",
        "initialSyncMode": "full_once",
        "initialSyncSince": None,
        "includeSubprojects": False,
        "sweepEveryDays": 7,
        "autoCreate": True,
        "conflictPolicy": "review",
        "clientSyncPolicy": "preserve_local",
        "fieldPolicies": {},
        "deletionPolicy": "mark_inactive_keep_link",
        "guard": {
            "maxInactivatedRows": 10,
            "maxInactivatedPercent": 5,
            "maxChangedPercent": None,
            "maxCreatedRows": None,
            "maxNulledPercent": None,
        },
        "approvePlan": False,
        "onStaleMapping": "block",
        "onRejectedGrant": "hold",
        "dryRun": False,
    }


def test_given_options_stay_and_the_body_is_not_touched() -> None:
    body = {
        "schedule": {"cron": "0 6 * * 1-5"},
        "syncMode": "full",
        "clientSyncPolicy": "write_once",
    }
    before = copy.deepcopy(body)
    filled = rule_form.validate(WITH_CLIENT, body)
    assert filled["schedule"] == {"cron": "0 6 * * 1-5", "timezone": "UTC"}
    assert (filled["syncMode"], filled["clientSyncPolicy"]) == ("full", "write_once")
    assert body == before


def test_defaults_are_not_shared_between_bodies() -> None:
    hourly = replace(WIDGETS, defaults={"schedule": {"every": {"minutes": 60}}})
    for obj, minutes in ((WIDGETS, 15), (hourly, 60)):
        rule_form.validate(obj, {})["schedule"]["every"]["minutes"] = 1
        assert rule_form.validate(obj, {})["schedule"] == {"every": {"minutes": minutes}}


def test_object_without_delta_offers_and_accepts_full_only() -> None:
    assert rule_form.validate(FULL_ONLY, {})["syncMode"] == "full"
    assert _problems({"syncMode": "delta"}, FULL_ONLY) == [
        ("/syncMode", 'expected "full"; got "delta"')
    ]
    option = rule_form.schema(FULL_ONLY)["properties"]["syncMode"]
    assert option["readOnly"] is True
    assert option["x-ui"]["lockedReason"] == "The provider cannot list changes of Widgets."


def test_subprojects_are_locked_to_false() -> None:
    option = rule_form.schema(WIDGETS)["properties"]["includeSubprojects"]
    assert (option["const"], option["readOnly"]) == (False, True)
    assert _problems({"includeSubprojects": True}) == [
        ("/includeSubprojects", "expected false; got true")
    ]


def test_flat_object_has_no_subproject_option() -> None:
    flat = replace(WIDGETS, hierarchy=None)
    assert "includeSubprojects" not in rule_form.schema(flat)["properties"]
    assert "includeSubprojects" not in rule_form.validate(flat, {})


def test_client_policy_is_offered_only_where_a_client_is_mapped() -> None:
    assert "clientSyncPolicy" not in rule_form.schema(WIDGETS)["properties"]
    assert "clientSyncPolicy" in rule_form.schema(WITH_CLIENT)["properties"]


def test_object_defaults_win_over_generic_ones() -> None:
    hourly: Mapping[str, Any] = {"schedule": {"every": {"minutes": 60}}, "autoCreate": False}
    filled = rule_form.validate(replace(WIDGETS, defaults=hourly), {})
    assert (filled["schedule"], filled["autoCreate"]) == ({"every": {"minutes": 60}}, False)


@pytest.mark.parametrize(
    "obj", [WIDGETS, WITH_CLIENT, FULL_ONLY], ids=["plain", "client", "full_only"]
)
def test_schema_is_draft_2020_12_and_accepts_its_own_defaults(obj: ObjectMeta) -> None:
    form = rule_form.schema(obj)
    Draft202012Validator.check_schema(form)
    assert list(Draft202012Validator(form).iter_errors(rule_form.validate(obj, {}))) == []
    assert form["title"] == "Rule for Widgets"


def test_options_that_the_metadata_makes_meaningless_are_absent() -> None:
    assert "filters" not in rule_form.schema(replace(WIDGETS, fields={}))["properties"]
    full_only = rule_form.schema(FULL_ONLY)["properties"]
    assert "initialSyncSince" not in full_only
    assert [choice["const"] for choice in full_only["initialSyncMode"]["oneOf"]] == ["full_once"]
    assert full_only["initialSyncMode"]["readOnly"] is True
    policies = rule_form.schema(WITH_CLIENT)["properties"]["fieldPolicies"]["properties"]
    assert {"client", "bqe_client_name", "bqe_client_id"}.isdisjoint(policies)
    assert {"name", "status", "notes"} <= set(policies)


def test_every_option_explains_itself_and_has_its_place() -> None:
    options = rule_form.schema(FILTERED)["properties"]
    for name, option in options.items():
        assert option["title"], name
        assert option["description"], name
        assert "default" in option, name
    orders = [option["x-ui"]["order"] for option in options.values()]
    assert sorted(orders) == list(range(1, len(orders) + 1))


def test_filters_take_known_values_of_filterable_fields_only() -> None:
    good = [
        {"field": "status", "in": ["0"]},
        {"field": "code", "in": ["A", "B"]},
        {"field": "billable", "in": [True]},
    ]
    assert rule_form.validate(FILTERED, {"filters": good})["filters"] == good
    bad = [
        {"field": "status", "in": ["1"]},
        {"field": "level", "in": ["1"]},
        {"field": "memo", "in": ["x"]},
        {"field": "hidden", "in": ["x"]},
        {"field": "code", "in": ["x" * 66]},
        {"field": "billable", "in": ["true"]},
        {"field": "code", "in": []},
        {"in": ["x"]},
        {"field": "code", "in": ["x", "x"]},
    ]
    assert [pointer for pointer, _ in _problems({"filters": bad}, FILTERED)] == [
        "/filters/0/in/0", "/filters/1/field", "/filters/2/field", "/filters/3/field", "/filters/4/in/0",
        "/filters/5/in/0", "/filters/6/in", "/filters/7/field", "/filters/8/in",
    ]  # fmt: skip
    twice = [{"field": "code", "in": ["a"]}, {"field": "code", "in": ["b"]}]
    assert _problems({"filters": twice}, FILTERED) == [
        ("/filters/1/field", 'expected each field once (list all its values); got "code"')
    ]


def test_a_filter_on_a_field_without_known_values_needs_a_text() -> None:
    assert [p for p, _ in _problems({"filters": [{"field": "code", "in": [1, ""]}]}, FILTERED)] == [
        "/filters/0/in/0",
        "/filters/0/in/1",
    ]


@pytest.mark.parametrize("first", ["delta_only_after_date", "delta_only_from_now"])
def test_full_with_a_first_run_of_changes_only_is_refused(first: str) -> None:
    since = AFTER_DATE["initialSyncSince"] if first == "delta_only_after_date" else None
    body = {"syncMode": "full", "initialSyncMode": first, "initialSyncSince": since}
    assert [pointer for pointer, _ in _problems(body)] == ["/initialSyncMode"]
    assert (
        rule_form.validate(WITH_CLIENT, {**body, "syncMode": "delta"})["initialSyncMode"] == first
    )


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (None, "expected an instant, because"),
        ("2026-01-31", "with its zone"),
        ("2026-01-31T00:00:00", "with its zone"),
        ("2026-02-30T00:00:00Z", "with its zone"),
        ("1969-12-31T23:59:59Z", "from 1970 on"),
        ("2026-11-27T08:00:01Z", "not in the future"),
        ("2026-11-27T08:00:00-01:00", "not in the future"),
        (5, "expected a text or null"),
    ],
)
def test_a_first_run_after_a_date_needs_a_usable_date(since: Any, why: str) -> None:
    body = {**AFTER_DATE, "initialSyncSince": since}
    with pytest.raises(RuleInvalid) as caught:
        rule_form.validate(WITH_CLIENT, body, now=NOW)
    (problem,) = caught.value.problems
    assert problem["pointer"] == "/initialSyncSince"
    assert why in problem["message"]


def test_the_date_of_the_first_run_is_kept_in_utc_and_belongs_to_its_mode() -> None:
    body = {**AFTER_DATE, "initialSyncSince": "2026-01-31T02:00:00+02:00"}
    filled = rule_form.validate(WITH_CLIENT, body, now=NOW)
    assert filled["initialSyncSince"] == "2026-01-31T00:00:00Z"
    stray = {"initialSyncSince": AFTER_DATE["initialSyncSince"]}
    assert [pointer for pointer, _ in _problems(stray)] == ["/initialSyncSince"]


def test_guards_are_numbers_from_zero_on_or_nothing() -> None:
    given = {"maxInactivatedRows": 0, "maxInactivatedPercent": None, "maxCreatedRows": 5}
    filled = rule_form.validate(WITH_CLIENT, {"guard": given})["guard"]
    assert filled == {**given, "maxChangedPercent": None, "maxNulledPercent": None}
    bad = {"maxInactivatedRows": -1, "maxChangedPercent": 101, "maxCreatedRows": 1.5, "max": 1}
    assert [pointer for pointer, _ in _problems({"guard": bad})] == [
        "/guard/max", "/guard/maxChangedPercent", "/guard/maxCreatedRows", "/guard/maxInactivatedRows",
    ]  # fmt: skip


def test_field_policies_name_local_columns_and_never_the_client() -> None:
    good = {"fieldPolicies": {"lead": "preserve_local", "notes": "write_once"}}
    assert rule_form.validate(WITH_CLIENT, good)["fieldPolicies"] == good["fieldPolicies"]
    bad = {"client": "follow", "bqe_client_id": "follow", "leader": "follow", "lead": "sometimes"}
    assert [pointer for pointer, _ in _problems({"fieldPolicies": bad})] == [
        "/fieldPolicies/bqe_client_id", "/fieldPolicies/client", "/fieldPolicies/lead", "/fieldPolicies/leader",
    ]  # fmt: skip


def test_an_old_body_reads_with_todays_defaults_and_without_gone_options() -> None:
    old = {
        "schedule": {"every": {"minutes": 5}},
        "autoCreate": False,
        "gone": 1,
        "guard": {"maxCreatedRows": 3},
    }
    read = rule_form.effective(WITH_CLIENT, old)
    assert (read["autoCreate"], read["conflictPolicy"]) == (False, "review")
    assert (read["guard"]["maxCreatedRows"], read["guard"]["maxInactivatedRows"]) == (3, 10)
    assert "gone" not in read
    assert rule_form.for_run(WITH_CLIENT, old) == read


@pytest.mark.parametrize(
    ("obj", "body", "pointer"),
    [
        (WIDGETS, {"includeSubprojects": True}, "/includeSubprojects"),
        (FULL_ONLY, {"syncMode": "delta"}, "/syncMode"),
    ],
)
def test_a_body_edited_by_hand_is_shown_but_never_run(
    obj: ObjectMeta, body: dict[str, Any], pointer: str
) -> None:
    assert rule_form.effective(obj, body)[pointer[1:]] == body[pointer[1:]]
    with pytest.raises(RuleInvalid) as caught:
        rule_form.for_run(obj, body)
    assert [problem["pointer"] for problem in caught.value.problems] == [pointer]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.text(max_size=5) | st.floats(0, 200),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_NEAR = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(values) | _JSON
        for name, values in {
            "schedule": [{"every": {"minutes": 5}}, {"cron": "0 6 * * *"}, {"cron": "0 6 30 2 *"}],
            "syncMode": ["full", "delta"],
            "initialSyncMode": ["full_once", "delta_only_after_date", "delta_only_from_now"],
            "initialSyncSince": ["2026-01-31T00:00:00Z", "2026-01-31T02:00:00+02:00", None],
            "includeSubprojects": [False, True],
            "filters": [
                [],
                [{"field": "status", "in": ["0"]}],
                [{"field": "code", "in": ["x"]}] * 2,
            ],
            "guard": [{}, {"maxCreatedRows": 0}, {"maxCreatedRows": -1}],
            "fieldPolicies": [{"lead": "follow"}, {"client": "follow"}],
            "sweepEveryDays": [0, 7, -1],
            "other": [1],
        }.items()
    },
)


@given(body=_NEAR, obj=st.sampled_from([FILTERED, FULL_ONLY]))
@settings(max_examples=150, deadline=None)
def test_any_body_is_either_taken_or_refused_with_pointers(
    body: dict[str, Any], obj: ObjectMeta
) -> None:
    problems: list[dict[str, str]] = []
    try:
        filled = rule_form.validate(obj, body, now=NOW)
    except RuleInvalid as refused:
        filled, problems = rule_form.effective(obj, body), refused.problems or [{"pointer": "none"}]
    else:
        assert rule_form.validate(obj, filled, now=NOW) == filled
    assert all(problem["pointer"].startswith("/") for problem in problems)
    assert rule_form.effective(obj, filled) == filled
    read = rule_form.effective(obj, body)
    assert rule_form.effective(obj, read) == read
    assert set(read) == set(rule_form.schema(obj)["properties"])


def test_all_problems_come_at_once() -> None:
    body = {
        "schedule": {"cron": "0 25 * * *", "timezone": "Mars/Base"},
        "syncmode": "full",
        "dryRun": "no",
        "clientSyncPolicy": "follow_bque",
    }
    assert [pointer for pointer, _ in _problems(body)] == [
        "/clientSyncPolicy",
        "/dryRun",
        "/schedule/cron",
        "/syncmode",
    ]


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ([], "", "expected an object; got a list of 0"),
        ({"syncmode": "full"}, "/syncmode", '(did you mean "syncMode"?)'),
        ({"fields": ["id"]}, "/fields", 'expected a known name: one of "schedule"'),
        (
            {"syncMode": "ful"},
            "/syncMode",
            'expected one of "full", "delta"; got "ful" (did you mean "full"?)',
        ),
        (
            {"initialSyncMode": "delta_only_from_then"},
            "/initialSyncMode",
            'did you mean "delta_only_from_now"?',
        ),
        (
            {"schedule": {"every": {"minutes": 0}}},
            "/schedule/every/minutes",
            "expected at least 1; got 0",
        ),
        (
            {"schedule": {"every": {"minutes": 10081}}},
            "/schedule/every/minutes",
            "expected at most 10080",
        ),
        (
            {"schedule": {"every": {"minutes": True}}},
            "/schedule/every/minutes",
            "expected a whole number; got true",
        ),
        (
            {"schedule": {"every": {"hours": 1}}},
            "/schedule/every/minutes",
            "expected a value; got nothing",
        ),
        ({"schedule": {}}, "/schedule", "expected an object with either every or cron"),
        (
            {"schedule": {"every": {"minutes": 5}, "cron": "* * * * *"}},
            "/schedule",
            "either every or cron",
        ),
        ({"schedule": "hourly"}, "/schedule", 'either every or cron; got "hourly"'),
        ({"schedule": {"cron": "0 6 * *"}}, "/schedule/cron", "it has 4 fields, expected 5"),
        ({"schedule": {"cron": "0 6 * * * *"}}, "/schedule/cron", "it has 6 fields, expected 5"),
        ({"schedule": {"cron": "0 6 30 2 *"}}, "/schedule/cron", "it never matches a date"),
        ({"schedule": {"cron": 5}}, "/schedule/cron", "expected a text; got 5"),
        (
            {"schedule": {"cron": "0 6 * * *", "timezone": "Europ/Berlin"}},
            "/schedule/timezone",
            'expected an IANA time zone; got "Europ/Berlin"',
        ),
        (
            {"schedule": {"cron": "0 6 * * *", "zone": "UTC"}},
            "/schedule/zone",
            "expected a known name",
        ),
    ],
)
def test_bad_body_is_refused_with_pointer_and_reason(body: Any, pointer: str, message: str) -> None:
    problems = _problems(body)
    assert pointer in [found for found, _ in problems]
    assert message in next(text for found, text in problems if found == pointer)
