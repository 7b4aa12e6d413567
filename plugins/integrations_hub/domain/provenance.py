"""Why a value is what it is: from the row now and what runs wrote to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_DECIDED = {
    "follow": "the provider's value is followed",
    "preserve_local": "the provider's value is taken until somebody edits it here",
    "write_once": "taken when the run created the row, never after",
    "unmapped": "the mapping does not fill it",
}


@dataclass(frozen=True)
class Step:
    """What one run wrote to the row. Images hold the values by column; `remote` is what the provider said.

    `sources`: provider field by local column; `policies`: policy by local column, as the run had pinned them.
    """

    run_id: int
    action: str
    at: datetime
    before: Mapping[str, str | None] | None
    after: Mapping[str, str | None] | None
    remote: Mapping[str, str | None]
    external_id: str
    origin: str
    rule_id: int | None
    rule_revision: int | None
    mapping_version: int | None
    sources: Mapping[str, str]
    policies: Mapping[str, str]
    undoes: int | None = None


@dataclass(frozen=True)
class Explanation:
    """Where a column's value came from. `origin`: provider | person | undo; `previous`: older values, newest first."""

    column: str
    value: str | None
    origin: str
    text: str
    run_id: int | None = None
    at: datetime | None = None
    provider_field: str | None = None
    external_id: str | None = None
    connection: str | None = None
    rule_id: int | None = None
    rule_revision: int | None = None
    mapping_version: int | None = None
    policy: str | None = None
    provider_value: str | None = None
    previous: tuple[dict[str, Any], ...] = ()


def explain(column: str, value: str | None, steps: Sequence[Step]) -> Explanation:
    """The last run that gave the column its value, or a person; `steps` oldest first."""
    previous = tuple(reversed(_history(column, steps)))
    last = next((step for step in reversed(steps) if _wrote(step, column)), None)
    told = next((step for step in reversed(steps) if column in step.sources), None)
    known = _told(told, column)
    if last is None or last.after is None or last.after.get(column) != value:
        since = f" since run {last.run_id}" if last else ""
        return Explanation(
            column,
            value,
            "person",
            f"Set here, by a person or a file{since}.",
            previous=previous,
            **known,
        )
    if last.undoes is not None:
        return Explanation(
            column, value, "undo", f"Run {last.run_id} took run {last.undoes} back.",
            run_id=last.run_id, at=last.at, previous=previous[1:], **known,
        )  # fmt: skip
    policy = last.policies.get(column, "unmapped")
    kept = column in last.remote and last.remote[column] != value
    text = f"Run {last.run_id} wrote it: {_DECIDED.get(policy, policy)}."
    if kept and last.action != "create":
        text = f"Run {last.run_id} kept it: {_DECIDED.get(policy, policy)}."
    return Explanation(
        column,
        value,
        "provider",
        text,
        run_id=last.run_id,
        at=last.at,
        previous=previous[1:],
        **_told(last, column),
    )


def _wrote(step: Step, column: str) -> bool:
    """Whether the run changed the column (or made the row)."""
    if step.after is None or column not in step.after:
        return False
    return step.before is None or step.before.get(column) != step.after.get(column)


def _history(column: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Values over time; a value between two runs that neither wrote was set here."""
    values: list[dict[str, Any]] = []
    current: str | None = None
    for step in steps:
        if step.before is not None and (not values or step.before.get(column) != current):
            values.append({"value": step.before.get(column), "run_id": None, "until": step.at})
        if _wrote(step, column) and step.after is not None:
            current = step.after.get(column)
            values.append({"value": current, "run_id": step.run_id, "at": step.at})
        elif step.before is not None:
            current = step.before.get(column)
    return values


def _told(step: Step | None, column: str) -> dict[str, Any]:
    if step is None:
        return {}
    return {
        "provider_field": step.sources.get(column),
        "external_id": step.external_id,
        "connection": step.origin,
        "rule_id": step.rule_id,
        "rule_revision": step.rule_revision,
        "mapping_version": step.mapping_version,
        "policy": step.policies.get(column),
        "provider_value": step.remote.get(column),
    }
