"""Plans of changes as they wait for a person, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from integrations_hub.domain.blast_radius import BlastRadius
from integrations_hub.domain.proposal import Proposal


class PlanStore(Protocol):
    def proposal(self, run_id: int, *, by_run: int | None = None) -> Proposal:
        """As it stands for `by_run`, which is about to apply it. Raises NotFound."""

    def answer(
        self, run_id: int, seqs: Sequence[int] | None, *, actor: str, request_id: str | None
    ) -> None:
        """Approve rows of the plan (None: all), with audit. The same answer again changes nothing.

        Raises ConflictingChange for another answer, NotFound for rows that the plan does not have.
        """


class Replays(Protocol):
    def blast_radius(self, counts: Mapping[str, int]) -> BlastRadius: ...

    def adopt(
        self,
        plan_run_id: int,
        *,
        seqs: Sequence[int] | None,
        mark_from: datetime | None,
        mark_to: datetime | None,
        moves_mark: bool,
    ) -> int: ...

    def take_back(self, undone_run_id: int, columns: Sequence[str]) -> dict[str, int]: ...

    def left_over(self) -> dict[str, int]:
        """Rows of the change set that were not applied: drifted and refused."""

    def move_mark_from(
        self, mark: datetime | None, generation: int, *, mark_from: datetime | None
    ) -> None: ...
