"""When a saved mapping is out of date, what may still be used of it, and the way out (D12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from integrations_hub.catalog.saved_mapping import SavedMapping
from integrations_hub.errors import MappingStale
from tests.kit.mappings import default_lines, earlier, projects


def _saved(obj: Any, **changed: Any) -> SavedMapping:
    made = SavedMapping.made(obj, default_lines(**changed), None)
    read = SavedMapping.of(projects(), {"mapping": {"projects": made.as_json()}})
    assert read == made
    return made


def test_no_override_is_no_saved_mapping() -> None:
    assert SavedMapping.of(projects(), {}) is None


# (what the metadata was when the mapping was saved, a line that differs) -> reason, columns left out in part
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str | None, tuple[str, ...]]] = {
    "nothing changed": ({}, {}, None, ()),
    "a field appeared": ({"without": ["memo"]}, {"notes": None}, "memo appeared", ()),
    "an unread field vanished": ({"extra": ["old"]}, {}, "old vanished", ()),
    "a read field vanished": (
        {"extra": ["old"]},
        {"lead": {"source": "old"}},
        "old vanished",
        ("lead",),
    ),
    "a joined field vanished": (
        {"extra": ["old"]},
        {"lead": {"source": "manager", "also": ["old"]}},
        "old vanished",
        ("lead",),
    ),
    "an unread field has another type": (
        {"types": {"principal": "html"}},
        {},
        "principal is text instead of html",
        (),
    ),
    "a read field has another type": (
        {"types": {"client": "id"}},
        {},
        "client is text instead of id",
        ("client", "bqe_client_name"),
    ),
    "the mapping version rose": (
        {"version": 7},
        {},
        "the provider's mapping version is 1, this mapping was saved for 7",
        (),
    ),
}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("name", list(TABLE))
def test_the_truth_table_of_staleness(name: str, partial: bool) -> None:
    was, changed, reason, left_out = TABLE[name]
    saved = _saved(earlier(**was), **changed)
    assert saved.stale_because(projects()) == reason
    if reason is not None and not partial:
        sentence = f"Mappings out of date; review in Integrations Hub: {reason}."
        with pytest.raises(MappingStale) as stale:
            saved.for_run(projects(), partial=False)
        assert stale.value.message == sentence
        return
    lines, aside = saved.for_run(projects(), partial=partial)
    assert aside == left_out
    filled = {line.target for line in lines}
    assert filled == {line["target"] for line in saved.lines} - set(left_out)


def test_labels_and_order_do_not_make_a_mapping_stale() -> None:
    obj = projects()
    fields = {k: replace(f, label="other") for k, f in reversed(obj.fields.items())}
    assert _saved(replace(obj, fields=fields)).stale_because(obj) is None


def test_a_repair_takes_the_field_that_replaced_a_vanished_one() -> None:
    """`managers` vanished while `manager` appeared: the same line reads the new field."""
    old = earlier(without=["manager"], extra=["managers"])
    saved = _saved(old, lead={"source": "managers", "case": "upper"})
    lines, left = saved.repair(projects())
    assert {"target": "lead", "source": "manager", "case": "upper"} in lines
    assert left == []


def test_a_repair_leaves_out_what_it_cannot_mend_and_keeps_it_with_the_next_save() -> None:
    saved = _saved(earlier(extra=["zzz"]), lead={"source": "zzz"})
    lines, left = saved.repair(projects())
    assert [d.line["target"] for d in left] == ["lead"]
    following = SavedMapping.made(projects(), lines, saved)
    assert (following.version, following.stale_because(projects())) == (2, None)
    assert [d.line for d in following.dropped] == [{"target": "lead", "source": "zzz"}]
    recovered = [*lines, {"target": "lead", "source": "manager"}]
    assert SavedMapping.made(projects(), recovered, following).dropped == ()
