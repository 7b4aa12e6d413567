"""Why a value is what it is: the run, the policy, or a person."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from integrations_hub.domain.provenance import Step, explain

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def _step(run_id: int, before: str | None, after: str | None, **more: Any) -> Step:
    values: dict[str, Any] = {
        "run_id": run_id,
        "action": "create" if before is None else "update",
        "at": NOON + timedelta(hours=run_id),
        "before": None if before is None else {"name": before},
        "after": {"name": after},
        "remote": {"name": after},
        "external_id": "p-1",
        "origin": "acme:main:projects",
        "rule_id": 3,
        "rule_revision": 2,
        "mapping_version": 1,
        "sources": {"name": "title"},
        "policies": {"name": "follow"},
    }
    return Step(**{**values, **more})


def test_the_run_that_created_the_row_is_named_with_field_rule_and_mapping() -> None:
    found = explain("name", "Tower", [_step(5, None, "Tower")])
    assert (found.origin, found.run_id, found.provider_field, found.external_id) == (
        "provider",
        5,
        "title",
        "p-1",
    )
    assert (found.rule_id, found.rule_revision, found.mapping_version, found.policy) == (
        3,
        2,
        1,
        "follow",
    )
    assert found.previous == ()


def test_the_last_run_that_changed_the_value_is_named_not_the_last_that_ran() -> None:
    steps = [_step(5, None, "A"), _step(6, "A", "B"), _step(7, "B", "B")]
    found = explain("name", "B", steps)
    assert found.run_id == 6
    assert [old["value"] for old in found.previous] == ["A"]


def test_a_value_that_no_run_wrote_is_a_persons() -> None:
    found = explain("name", "By hand", [_step(5, None, "A")])
    assert (found.origin, found.run_id, found.provider_value) == ("person", None, "A")
    assert "since run 5" in found.text
    assert [old["value"] for old in found.previous] == ["A"]


def test_a_column_that_no_mapping_fills_is_a_persons() -> None:
    found = explain("notes", "mine", [_step(5, None, "A")])
    assert (found.origin, found.provider_field) == ("person", None)


def test_what_a_person_set_between_two_runs_is_part_of_the_past() -> None:
    steps = [_step(5, None, "A"), _step(6, "By hand", "C")]
    found = explain("name", "C", steps)
    assert [old["value"] for old in found.previous] == ["By hand", "A"]
    assert [old["run_id"] for old in found.previous] == [None, 5]


def test_a_local_value_that_a_run_kept_says_so() -> None:
    steps = [
        _step(
            5,
            "Ours",
            "Ours",
            remote={"name": "Theirs"},
            policies={"name": "preserve_local"},
            action="link",
        )
    ]
    found = explain("name", "Ours", steps)
    assert (found.origin, found.provider_value, found.policy) == (
        "person",
        "Theirs",
        "preserve_local",
    )


def test_an_undo_names_the_run_that_it_took_back() -> None:
    steps = [_step(5, None, "A"), _step(6, "A", "B"), _step(7, "B", "A", undoes=6)]
    found = explain("name", "A", steps)
    assert (found.origin, found.run_id) == ("undo", 7)
    assert "took run 6 back" in found.text
