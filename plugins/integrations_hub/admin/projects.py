"""What an admin does with local projects: export, import, give the client name back to the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrations_hub.domain.project_sheet import COLUMNS, ProjectRow, columns_of, read_row
from integrations_hub.errors import FileRefused, NotFound
from integrations_hub.ports.projects import ImportOutcome, LocalProjectStore

_SHOWN = 20


@dataclass(frozen=True)
class Projects:
    """Over the Hub's projects; `read` and `write` take sheets by their path (transport/table_file.py)."""

    store: LocalProjectStore
    read: Callable[[Path], list[list[str]]]
    write: Callable[[Path, Sequence[str], Iterable[Sequence[Any]]], int]

    def export(self, path: Path, *, status: str | None) -> int:
        """Write the projects as a sheet; returns how many. Status None leaves out inactive and deleted ones."""
        rows = ([row[name] for name in COLUMNS] for row in self.store.every(status))
        return self.write(path, COLUMNS, rows)

    def import_file(self, path: Path, *, actor: str, dry_run: bool) -> ImportOutcome:
        """Create and update projects from a sheet, all lines or none. Raises FileRefused with every problem."""
        table = self.read(path)
        if not table:
            raise FileRefused(f"{path.name} is empty.")
        columns, problems = columns_of(table[0])
        rows: list[ProjectRow] = []
        if not problems:
            for line, cells in enumerate(table[1:], 2):
                if any(cell.strip() for cell in cells):
                    row, wrong = read_row(line, columns, cells)
                    problems += wrong
                    rows += [row] if row else []
        if not problems:
            outcome = self.store.import_rows(rows, columns, actor=actor, dry_run=dry_run)
            problems = outcome.problems
        if problems:
            told = "; ".join(str(problem) for problem in problems[:_SHOWN])
            more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise FileRefused(f"{path.name} was not imported. {told}{more}.")
        return outcome

    def client_differences(self, ids: Sequence[int] | None) -> Sequence[dict[str, Any]]:
        """What a reset of the local client would change: id, project_number, name, before, after.

        Raises NotFound for an id that names no project.
        """
        missing = self.store.missing(ids) if ids else []
        if missing:
            raise NotFound(
                f"There is no project {', '.join(map(str, missing))}.",
                hint="Take the ids from `hub projects export`.",
                code="PROJECT_UNKNOWN",
            )
        return self.store.client_differences(ids)

    def reset_clients(self, ids: Sequence[int], *, actor: str) -> int:
        """Set the local client to the provider's name again; returns the projects changed."""
        return self.store.reset_clients(ids, actor=actor)
