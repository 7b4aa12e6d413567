"""Records of BQE's list that nobody would send on purpose: each is loaded or waits, and the rest is loaded."""

from __future__ import annotations

from typing import Any

from tests.kit.sandbox_engine import SandboxEngine

ZEROS = "00000000-0000-0000-0000-000000000000"


def _insert(hub: SandboxEngine, *rows: dict[str, Any]) -> None:
    numbered = [{"code": f"ODD-{n}", "name": f"Odd {n}", **row} for n, row in enumerate(rows)]
    hub.sandbox.control("POST", "/mutate", {"insert": numbered})


def _set(hub: SandboxEngine, record_id: str, **values: Any) -> None:
    hub.sandbox.control("POST", "/mutate", {"updates": [{"id": record_id, "set": values}]})


def _waiting(hub: SandboxEngine) -> dict[str, tuple[str, int]]:
    rows = hub.rows(
        "SELECT external_id, pointer, attempts FROM hub.quarantine WHERE resolved_at IS NULL"
    )
    return {row["external_id"]: (row["pointer"], row["attempts"]) for row in rows}


def test_an_odd_id_is_kept_to_the_letter_or_waits(hub: SandboxEngine) -> None:
    ordinary = hub.sandbox.truth()
    kept = ["  spaces around  ", "y" * 200, "🏗️ id", "4711", "O'Brien; DROP TABLE"]
    _insert(hub, *({"id": one} for one in [*kept, "x" * 201, "nul\u0000inside"]))
    run = hub.run()
    assert run["rejected"] == ordinary["rejected"] + 2
    assert set(kept) <= set(hub.projects())
    assert len(hub.projects()) == ordinary["loadable"] + len(kept)
    assert hub.run()["created"] == 0  # the same ids again


def test_a_poisoned_record_waits_for_as_long_as_it_is_one_and_the_rest_moves_on(
    hub: SandboxEngine,
) -> None:
    hub.run()
    before = _waiting(hub)
    wrong_type, huge, mended = sorted(hub.loadable())[:3]
    names = {key: row["name"] for key, row in hub.projects().items()}
    poison = {
        wrong_type: {"name": ["a list"]},
        huge: {"memo": "m" * 10_000_000},
        mended: {"startDate": "2026-02-30T00:00:00"},
    }
    for _ in range(3):
        for key, values in poison.items():
            _set(hub, key, **values)
        run = hub.run()
        assert run["state"] == "succeeded_with_rejects"
    waiting = {key: value for key, value in _waiting(hub).items() if key not in before}
    assert waiting == {wrong_type: ("/name", 3), huge: ("/memo", 3), mended: ("/startDate", 3)}
    assert hub.mark() == run["mark_to"] > run["mark_from"]  # it holds up nothing
    assert {key: hub.projects()[key]["name"] for key in poison} == {k: names[k] for k in poison}
    _set(hub, mended, startDate="2026-02-28T00:00:00")
    hub.run()
    assert mended not in _waiting(hub)
    assert str(hub.projects()[mended]["start_date"]) == "2026-02-28"


def test_only_an_empty_parent_makes_a_root(hub: SandboxEngine) -> None:
    parent = str(hub.sandbox.control("POST", "/touch", {"roots": 1})["ids"][0])
    itself = "11111111-2222-3333-4444-555555555555"
    _insert(
        hub,
        {"id": "root-empty", "parentId": ""},
        {"id": "root-zeros", "parentId": ZEROS},
        {"id": "root-null", "parentId": None},
        {"id": "child-of-one", "parentId": parent},
        {"id": "child-of-nobody", "parentId": "ffffffff-0000-0000-0000-000000000000"},
        {"id": itself, "parentId": itself},
    )
    for mode in ("full", "sweep"):
        hub.run(trigger="manual", mode=mode)
        mine = {key for key in hub.projects() if key.startswith(("root-", "child-", itself))}
        assert mine == {"root-empty", "root-zeros", "root-null"}


def test_a_new_member_is_ignored_and_one_of_another_type_overwrites_nothing(
    hub: SandboxEngine,
) -> None:
    hub.run()
    grown, changed = sorted(hub.loadable())[:2]
    before = hub.projects()
    _set(hub, grown, colour="blue", manager="New Lead")
    _set(hub, changed, manager={"first": "Ada"})
    hub.run()
    after = hub.projects()
    assert after[grown]["lead"] == "New Lead"
    assert after[changed]["lead"] == before[changed]["lead"]
    assert _waiting(hub)[changed][0] == "/manager"


def test_a_member_that_no_record_has_any_more_overwrites_nothing(hub: SandboxEngine) -> None:
    hub.run()
    before = hub.projects()
    chosen = [key for key in sorted(before) if before[key]["lead"]][:3]
    gone = [{"id": one, "set": {"name": "New"}, "unset": ["manager"]} for one in chosen]
    hub.sandbox.control("POST", "/mutate", {"updates": gone})
    run = hub.run()
    assert (run["state"], run["updated"]) == ("succeeded_partial_mapping", 3)
    assert any("No record came with manager: lead keep" in text for text in run["warnings"])
    after = hub.projects()
    assert {after[one]["name"] for one in chosen} == {"New"}
    assert {one: after[one]["lead"] for one in chosen} == {
        one: before[one]["lead"] for one in chosen
    }
