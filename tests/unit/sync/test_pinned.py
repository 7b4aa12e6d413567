"""What plan pins comes back from the run row as it was, and says what the rule says."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from integrations_hub.domain.field_map import FieldMap
from integrations_hub.sync.pinned import Pinned, rule_options


def _pinned(body: dict[str, Any]) -> Pinned:
    return Pinned(
        listing="sweep",
        since=datetime(2026, 3, 1, 8, 0, 1),
        until=None,
        dry_run=False,
        generation=2,
        rule_revision=3,
        mapping_version=4,
        lines=(FieldMap("name", "text", "name", True, None, None),),
        local_entity="project",
        only_since=datetime(2026, 2, 1),
        apply_run_id=17,
        **rule_options(body),
    )


def test_a_pinned_plan_comes_back_from_the_run_row_as_it_was() -> None:
    pinned = _pinned({"filters": [{"field": "status", "in": ["0"]}], "approvePlan": True})
    stored = json.loads(json.dumps(pinned.as_json(), default=str))
    assert Pinned.of(SimpleNamespace(plan=stored)) == pinned  # type: ignore[arg-type]


def test_a_rule_that_says_nothing_gets_the_safe_options() -> None:
    options = rule_options({})
    assert options == {
        "client_policy": "preserve_local",
        "auto_create": True,
        "policies": {"client": "preserve_local"},
        "conflict_policy": "review",
        "deletion_policy": "mark_inactive_keep_link",
        "approve_plan": False,
        "guard": {
            "max_inactivated_rows": 10,
            "max_inactivated_percent": 5,
            "max_changed_percent": None,
            "max_created_rows": None,
            "max_nulled_percent": None,
        },
        "filters": (),
        "partial_mapping": False,
    }


def test_a_limit_set_to_null_is_no_limit_and_the_client_policy_is_the_clients() -> None:
    options = rule_options(
        {
            "guard": {"maxInactivatedRows": None, "maxCreatedRows": 5},
            "clientSyncPolicy": "follow_bqe",
            "fieldPolicies": {"notes": "write_once", "client": "write_once"},
            "onStaleMapping": "partial",
        }
    )
    assert options["guard"]["max_inactivated_rows"] is None
    assert options["guard"]["max_inactivated_percent"] == 5
    assert options["guard"]["max_created_rows"] == 5
    assert options["policies"] == {"notes": "write_once", "client": "follow"}
    assert options["partial_mapping"]
