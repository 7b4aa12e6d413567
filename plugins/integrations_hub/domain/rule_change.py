"""What a new revision of a rule changes, and which changes ask whether to read again (D16)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FOLLOWS = ("follow_bqe",)
_BEHAVIOUR = {
    "syncMode": "how much each run reads is another",
    "initialSyncMode": "the first run is another",
    "initialSyncSince": "the first run begins at another date",
    "deletionPolicy": "deleted records are treated in another way",
    "conflictPolicy": "records that meet a local row are treated in another way",
}


@dataclass(frozen=True)
class Difference:
    """`pointer` (JSON pointer) held `before` and holds `after`; None where there was or is nothing."""

    pointer: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Reason:
    """Why records that were read already might have to be read again."""

    pointer: str
    text: str


def differences(before: Any, after: Any, pointer: str = "") -> list[Difference]:
    """Every place where two bodies differ, sorted; lists count as a whole."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [Difference(pointer, before, after)]
    return [
        found
        for name in sorted({*before, *after})
        for found in differences(before.get(name), after.get(name), f"{pointer}/{name}")
    ]


def reread_reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Reason]:
    """Why the change from one whole body to another could leave earlier records as the old one made them."""
    return [*_behaviour(before, after), *_wider(before, after), *_followers(before, after)]


def _behaviour(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Reason]:
    for name, text in _BEHAVIOUR.items():
        if before.get(name) != after.get(name):
            yield Reason(f"/{name}", text)


def _wider(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Reason]:
    if not _narrower(before.get("filters", ()), after.get("filters", ())):
        yield Reason("/filters", "the filters let more records in")
    if after.get("autoCreate") and not before.get("autoCreate"):
        yield Reason("/autoCreate", "records that waited for review would be created")


def _narrower(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> bool:
    """Every record that passes `after` passes `before` as well."""
    now = {one["field"]: one["in"] for one in after}
    return all(
        one["field"] in now and all(value in one["in"] for value in now[one["field"]])
        for one in before
    )


def _followers(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Reason]:
    client = after.get("clientSyncPolicy")
    if client in _FOLLOWS and client != before.get("clientSyncPolicy"):
        yield Reason("/clientSyncPolicy", "the client follows the provider from now on")
    old, new = before.get("fieldPolicies", {}), after.get("fieldPolicies", {})
    for column in sorted(old):
        if old[column] != "follow" and new.get(column, "follow") == "follow":
            yield Reason(f"/fieldPolicies/{column}", f"{column} follows the provider from now on")
