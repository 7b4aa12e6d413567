"""The plan that plan pins on the run row and every later stage reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import LOCAL_ENTITIES
from integrations_hub.domain.policies import WriteRules, by_column, has_base
from integrations_hub.domain.run import Run

GUARD: dict[str, int | None] = {
    "max_inactivated_rows": 10,
    "max_inactivated_percent": 5,
    "max_changed_percent": None,
    "max_created_rows": None,
    "max_nulled_percent": None,
}
_CLIENT_POLICIES = {"follow_bqe": "follow"}


@dataclass(frozen=True)
class Pinned:
    """`listing`: full | incremental | window | sweep | stored | kept (what earlier runs read, no request).

    `since` (inclusive), `until` (inclusive) and `only_since` are naive UTC in the provider's clock.
    Records not linked and not changed since `only_since` are none of this rule's (None: all are).
    `policies`: local column -> follow | preserve_local | write_once; what is not named follows.
    `guard`: limits by the names of GUARD, None = no limit. `filters`: ({"field", "in"}, ...).
    `partial_mapping`: a stale mapping does not stop the run, its sound lines are used.
    `left_out`: local columns that a stale mapping, used in part, does not fill.
    `apply_run_id`: the run whose stored plan of changes is applied instead of reading anything.
    `undo_run_id`: the run that is taken back, from its journal. Both have the listing `stored`.
    """

    listing: str
    since: datetime | None
    until: datetime | None
    dry_run: bool
    generation: int
    rule_revision: int
    mapping_version: int
    lines: tuple[FieldMap, ...]
    local_entity: str
    client_policy: str
    auto_create: bool
    policies: dict[str, str]
    conflict_policy: str
    deletion_policy: str
    approve_plan: bool
    guard: dict[str, int | None]
    filters: tuple[dict[str, Any], ...]
    partial_mapping: bool
    only_since: datetime | None = None
    apply_run_id: int | None = None
    undo_run_id: int | None = None
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the run row, with the order of the change set's images."""
        return {**asdict(self), "columns": self.columns}

    @staticmethod
    def of(run: Run) -> Pinned:
        """Read back from the run row."""
        body = {name: value for name, value in run.plan.items() if name != "columns"}
        body["lines"] = tuple(FieldMap(**line) for line in body["lines"])
        body["filters"] = tuple(body["filters"])
        body["left_out"] = tuple(body.get("left_out", ()))
        for name in ("since", "until", "only_since"):
            body[name] = datetime.fromisoformat(body[name]) if body[name] else None
        return Pinned(**body)

    @property
    def mapped(self) -> list[str]:
        """Local columns that the mapping fills."""
        return [line.target for line in self.lines]

    @property
    def columns(self) -> tuple[str, ...]:
        """Order of the images in the change set."""
        return LOCAL_ENTITIES[self.local_entity].image_columns

    @property
    def stored(self) -> bool:
        """Nothing is read and nothing mapped: the change set comes from another run."""
        return self.listing == "stored"

    @cached_property
    def mapping_digest(self) -> str:
        """Changes whenever a line does: what it reads, of which type, how it converts."""
        lines = [vars(line) for line in self.lines]
        text = json.dumps(lines, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def sources(self) -> list[str]:
        """Provider fields that the mapping and the filters read."""
        mapped = [name for line in self.lines for name in line.reads]
        return list(dict.fromkeys([*mapped, *(one["field"] for one in self.filters)]))

    def columns_of(self, fields: Collection[str]) -> list[str]:
        """Local columns whose line reads one of these provider fields."""
        return [line.target for line in self.lines if not set(fields).isdisjoint(line.reads)]

    def write_rules(self, unseen: Collection[str] = ()) -> WriteRules:
        """How the run may write; columns of `unseen` provider fields stay as they are."""
        entity = LOCAL_ENTITIES[self.local_entity]
        kept = self.columns_of(unseen)
        policies = by_column(
            entity, [name for name in self.mapped if name not in kept], self.policies
        )
        return WriteRules(
            local_entity=self.local_entity,
            policies=policies,
            has_base=has_base(entity, policies),
            client_policy=self.client_policy,
            auto_create=self.auto_create,
            conflict_policy=self.conflict_policy,
            deletion_policy=self.deletion_policy,
            only_since=self.only_since,
            key_prefix=f"{self.rule_revision}.{self.mapping_version}.",
        )


def rule_options(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule's body says about writing, as members of Pinned; defaults as in rule.schema.json."""
    client = str(body.get("clientSyncPolicy", "preserve_local"))
    policies = {str(k): str(v) for k, v in body.get("fieldPolicies", {}).items()}
    guard = body.get("guard", {})
    return {
        "client_policy": client,
        "auto_create": bool(body.get("autoCreate", True)),
        "policies": {**policies, "client": _CLIENT_POLICIES.get(client, client)},
        "conflict_policy": str(body.get("conflictPolicy", "review")),
        "deletion_policy": str(body.get("deletionPolicy", "mark_inactive_keep_link")),
        "approve_plan": bool(body.get("approvePlan", False)),
        "guard": {name: guard.get(_camel(name), default) for name, default in GUARD.items()},
        "filters": tuple(body.get("filters", ())),
        "partial_mapping": body.get("onStaleMapping", "block") == "partial",
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
