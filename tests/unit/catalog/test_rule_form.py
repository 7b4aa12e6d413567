import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from integrations_hub.catalog import rule_form
from integrations_hub.catalog.build import object_of
from integrations_hub.catalog.metadata import Capabilities, DefaultMapping, MappingEntry, ObjectMeta
from integrations_hub.errors import RuleInvalid
from tests.kit.provider_json import ACME

WIDGETS = object_of("widgets", ACME["objects"]["widgets"])
WITH_CLIENT = replace(
    WIDGETS,
    mapping=DefaultMapping(1, (MappingEntry("title", "client", False, None, "keep_local"),)),
)
FULL_ONLY = replace(WIDGETS, capabilities=Capabilities(full=True, delta=False))


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
        "includeSubprojects": False,
        "autoCreate": True,
        "clientSyncPolicy": "preserve_local",
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


def test_only_options_with_behaviour_are_offered() -> None:
    assert sorted(rule_form.schema(WITH_CLIENT)["properties"]) == [
        "autoCreate",
        "clientSyncPolicy",
        "dryRun",
        "includeSubprojects",
        "initialSyncMode",
        "schedule",
        "syncMode",
    ]
    first = rule_form.schema(WITH_CLIENT)["properties"]["initialSyncMode"]["oneOf"]
    assert [choice["const"] for choice in first] == ["full_once"]


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
        ({"initialSyncMode": "delta_only_from_now"}, "/initialSyncMode", 'expected "full_once"'),
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
