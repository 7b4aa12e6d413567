"""Scripted faults: which request they hit, and what then happens to it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KNOWN_FAULTS = frozenset(
    (
        "status",
        "body",
        "headers",
        "delay_ms",
        "reset",
        "truncate",
        "page_repeat",
        "empty_204",
        "mutate_before",
        "revoke_before",
        "lose_answer",
        "drop",
    )
)
KNOWN_CONDITIONS = frozenset(("path", "method", "contains", "nth", "count", "probability"))


class BadScriptError(Exception):
    """A script entry with an unknown key."""


@dataclass
class Script:
    """Hits matching requests number `nth` to `nth + count - 1` (count -1 = all after)."""

    on: Mapping[str, Any]
    fault: Mapping[str, Any]
    seen: int = 0
    hits: int = 0

    def matches(self, method: str, path: str, text: str) -> bool:
        """Whether the request is of the described kind, whatever its number."""
        wanted = str(self.on.get("path", "*"))
        prefix = wanted[:-1] if wanted.endswith("*") else None
        return (
            (path == wanted if prefix is None else path.startswith(prefix))
            and str(self.on.get("method", method)).upper() == method
            and str(self.on.get("contains", "")) in text
        )

    def due(self, chooser: random.Random) -> bool:
        """Count the request and say whether the fault hits it."""
        self.seen += 1
        first, count = int(self.on.get("nth", 1)), int(self.on.get("count", 1))
        if self.seen < first or 0 <= count <= self.seen - first:
            return False
        if chooser.random() >= float(self.on.get("probability", 1)):
            return False
        self.hits += 1
        return True


@dataclass
class Faults:
    """The scripts in force, in the order they were added; the first that is due hits."""

    seed: int
    scripts: list[Script] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chooser = random.Random(self.seed)  # noqa: S311 - repeatable faults, not a secret

    def add(self, on: Mapping[str, Any], fault: Mapping[str, Any]) -> None:
        """Add a script; raises BadScriptError for an unknown key."""
        unknown = (set(on) - KNOWN_CONDITIONS) | (set(fault) - KNOWN_FAULTS)
        if unknown:
            raise BadScriptError(
                f"unknown keys {sorted(unknown)}; `on` takes {sorted(KNOWN_CONDITIONS)}, "
                f"`fault` takes {sorted(KNOWN_FAULTS)}"
            )
        self.scripts.append(Script(on, fault))

    def next_for(self, method: str, path: str, text: str) -> Mapping[str, Any] | None:
        """The fault for this request; `text` is its decoded query and body."""
        due = [
            script
            for script in self.scripts
            if script.matches(method, path, text) and script.due(self._chooser)
        ]
        return due[0].fault if due else None
