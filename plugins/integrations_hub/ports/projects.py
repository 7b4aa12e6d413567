"""Local projects as people see and change them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from integrations_hub.domain.project_sheet import ProjectRow, SheetProblem


@dataclass(frozen=True)
class ImportOutcome:
    """`differences`: the first hundred (line, id, column, before, after); with `problems` nothing was written."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    problems: list[SheetProblem] = field(default_factory=list)


class LocalProjectStore(Protocol):
    def list(
        self, *, after_id: int, limit: int, status: str | None
    ) -> Iterator[dict[str, Any]]: ...

    def every(self, status: str | None) -> Iterator[dict[str, Any]]: ...

    def unlinked_count(self, provider_key: str) -> int: ...

    def import_rows(
        self, rows: Sequence[ProjectRow], columns: Sequence[str], *, actor: str, dry_run: bool
    ) -> ImportOutcome:
        """All rows or none; a dry run takes the same way and is rolled back."""

    def client_differences(self, ids: Sequence[int] | None) -> Sequence[dict[str, Any]]:
        """Projects whose local client is not the provider's name; None = among all."""

    def reset_clients(self, ids: Sequence[int], *, actor: str) -> int: ...

    def missing(self, ids: Sequence[int]) -> Sequence[int]:
        """Which of these ids name no project."""
