"""How much a plan of changes touches, and when that is more than a rule lets pass without a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

LIMIT_CODE = "BLAST_RADIUS"
APPROVAL_CODE = "APPROVAL_REQUIRED"


@dataclass(frozen=True)
class BlastRadius:
    """Rows that a plan would change. What takes a look at every row is counted when a limit asks for it."""

    created: int
    changed: int
    inactivated: int
    count_linked: Callable[[], int]
    count_nulled: Callable[[], int]

    @cached_property
    def linked(self) -> int:
        """Active links: what percentages are of."""
        return self.count_linked()

    @property
    def writes(self) -> int:
        """Rows that the plan writes at all."""
        return self.created + self.changed + self.inactivated

    def beyond(self, guard: Mapping[str, int | None]) -> list[str]:
        """One clause per limit of `guard` (names as in Pinned) that the plan is above; None = no limit.

        Rows and per cent of the inactivated are one limit: the greater of the two counts (D4).
        """
        said = []
        if self.inactivated:
            share = self._share(guard["max_inactivated_percent"])
            most = _greater(guard["max_inactivated_rows"], share)
            if most is not None and self.inactivated > most:
                said.append(f"{self.inactivated} would become inactive (limit {most:g})")
        percent = guard["max_nulled_percent"]
        nulled = 0 if percent is None else self.count_nulled()
        for name, count, most_percent in (
            ("change", self.changed, guard["max_changed_percent"]),
            ("lose a value", nulled, percent),
        ):
            limit = self._share(most_percent) if count else None
            if limit is not None and count > limit:
                said.append(f"{count} would {name} (limit {most_percent} % of {self.linked})")
        rows = guard["max_created_rows"]
        if rows is not None and self.created > rows:
            said.append(f"{self.created} would be created (limit {rows})")
        return said

    def _share(self, percent: int | None) -> float | None:
        return None if percent is None else self.linked * percent / 100


def _greater(one: float | None, other: float | None) -> float | None:
    known = [limit for limit in (one, other) if limit is not None]
    return max(known) if known else None


def hold(
    radius: BlastRadius, guard: Mapping[str, int | None], *, approve_plan: bool
) -> dict[str, str] | None:
    """Why a person must approve the plan first: code, text, hint; None when it may be applied at once."""
    beyond = radius.beyond(guard)
    if beyond:
        return {
            "code": LIMIT_CODE,
            "text": f"Nothing was written: of {radius.linked} linked rows, {', '.join(beyond)}.",
            "hint": "Look at the changes, then approve all or some of them, or raise the rule's limits.",
        }
    if approve_plan and radius.writes:
        return {
            "code": APPROVAL_CODE,
            "text": f"The rule asks for approval: {radius.writes} rows would be written.",
            "hint": "Look at the changes, then approve all or some of them.",
        }
    return None
