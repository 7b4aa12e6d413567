"""The guard: what is beyond a rule's limits is told, limit by limit."""

from __future__ import annotations

import pytest

from integrations_hub.domain.blast_radius import BlastRadius, hold

NO_LIMITS = {
    "max_inactivated_rows": None,
    "max_inactivated_percent": None,
    "max_changed_percent": None,
    "max_created_rows": None,
    "max_nulled_percent": None,
}


def _radius(**counts: int) -> BlastRadius:
    linked, nulled = counts.pop("linked", 1000), counts.pop("nulled", 0)
    return BlastRadius(
        **{"created": 0, "changed": 0, "inactivated": 0, **counts},
        count_linked=lambda: linked,
        count_nulled=lambda: nulled,
    )


@pytest.mark.parametrize(
    ("counts", "limits", "trips"),
    [
        ({"inactivated": 50}, {"max_inactivated_rows": 10, "max_inactivated_percent": 5}, False),
        ({"inactivated": 51}, {"max_inactivated_rows": 10, "max_inactivated_percent": 5}, True),
        (
            {"inactivated": 10, "linked": 20},
            {"max_inactivated_rows": 10, "max_inactivated_percent": 5},
            False,
        ),
        (
            {"inactivated": 11, "linked": 20},
            {"max_inactivated_rows": 10, "max_inactivated_percent": 5},
            True,
        ),
        ({"inactivated": 11}, {"max_inactivated_rows": 10}, True),
        ({"inactivated": 1}, {"max_inactivated_rows": 0, "max_inactivated_percent": 0}, True),
        ({"inactivated": 1000}, {}, False),
        ({"changed": 100}, {"max_changed_percent": 10}, False),
        ({"changed": 101}, {"max_changed_percent": 10}, True),
        ({"changed": 1, "linked": 0}, {"max_changed_percent": 10}, True),
        ({"created": 5}, {"max_created_rows": 5}, False),
        ({"created": 6}, {"max_created_rows": 5}, True),
        ({"nulled": 20}, {"max_nulled_percent": 2}, False),
        ({"nulled": 21}, {"max_nulled_percent": 2}, True),
        ({"created": 10**6, "changed": 1000, "inactivated": 1000, "nulled": 1000}, {}, False),
    ],
)
def test_a_plan_above_a_limit_is_held_and_one_at_it_is_not(
    counts: dict[str, int], limits: dict[str, int], trips: bool
) -> None:
    held = hold(_radius(**counts), {**NO_LIMITS, **limits}, approve_plan=False)
    assert (held is not None) is trips
    if held:
        assert held["code"] == "BLAST_RADIUS"
        assert str(next(iter(counts.values()))) in held["text"]


def test_every_limit_that_is_passed_is_named() -> None:
    held = hold(
        _radius(created=7, inactivated=8),
        {**NO_LIMITS, "max_created_rows": 5, "max_inactivated_rows": 5},
        approve_plan=False,
    )
    assert held is not None
    assert "8 would become inactive (limit 5)" in held["text"]
    assert "7 would be created (limit 5)" in held["text"]


def test_a_rule_that_asks_for_approval_holds_only_what_writes() -> None:
    assert hold(_radius(), NO_LIMITS, approve_plan=True) is None
    held = hold(_radius(created=1), NO_LIMITS, approve_plan=True)
    assert held is not None
    assert held["code"] == "APPROVAL_REQUIRED"


def test_nothing_is_counted_that_no_limit_asks_for() -> None:
    def refuse() -> int:
        raise AssertionError

    radius = BlastRadius(5, 5, 0, count_linked=refuse, count_nulled=refuse)
    limits = {**NO_LIMITS, "max_inactivated_rows": 10, "max_inactivated_percent": 5}
    assert hold(radius, limits, approve_plan=False) is None
