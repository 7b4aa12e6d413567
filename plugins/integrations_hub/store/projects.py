"""Local projects: read, and what people change of them. What the provider owns is written by runs only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from integrations_hub.domain.project_sheet import EDITABLE, ProjectRow, SheetProblem
from integrations_hub.ports.projects import ImportOutcome
from integrations_hub.store.audit import record
from integrations_hub.store.database import Connection, Database
from integrations_hub.store.statements import load

_q = load("projects")
_SHOWN = 100
_PAGE = 5000


class PostgresProjectStore:
    """Fulfils ports.LocalProjectStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, *, after_id: int, limit: int, status: str | None) -> Iterator[dict[str, Any]]:
        """By id; status None leaves out inactive and deleted projects, "all" leaves out nothing."""
        values = {"after_id": after_id, "limit": limit, "status": status}
        yield from self._database.rows(_q.list_page, values)

    def backfill_bqe_client(self) -> int:
        """Invent bqe_client_name for projects without one and without a link; returns how many."""
        with self._database.transaction() as tx:
            tx.execute(_q.write_as_a_run)
            return tx.execute(_q.backfill_bqe_client).rowcount

    def every(self, status: str | None) -> Iterator[dict[str, Any]]:
        """All pages of `list`, by id."""
        after_id = 0
        while page := list(self.list(after_id=after_id, limit=_PAGE, status=status)):
            yield from page
            after_id = page[-1]["id"]

    def unlinked_count(self, provider_key: str) -> int:
        """Projects that were never matched with a record of the provider."""
        row = self._database.row(_q.unlinked_count, {"provider_key": provider_key})
        return int(row["n"]) if row else 0

    def import_rows(
        self, rows: Sequence[ProjectRow], columns: Sequence[str], *, actor: str, dry_run: bool
    ) -> ImportOutcome:
        """All rows or none, in one transaction with its audit entry; a dry run does the same and takes it back."""
        editable = [name for name in EDITABLE if name in columns]
        outcome = ImportOutcome()
        with self._database.transaction() as tx:
            _stage(tx, rows)
            tx.execute(_q.match_import, {"columns": editable})
            problems = [
                SheetProblem(row["line"], "", row["message"])
                for row in tx.execute(_q.import_problems)
            ]
            if problems:
                outcome = ImportOutcome(problems=problems)
                raise psycopg.Rollback
            outcome = _write(tx, editable, len(rows))
            if dry_run:
                raise psycopg.Rollback
            detail = {
                "created": outcome.created, "updated": outcome.updated, "unchanged": outcome.unchanged, "columns": editable,
            }  # fmt: skip
            record(
                tx, actor=actor, action="projects.imported", target="projects", detail=detail, request_id=None
            )  # fmt: skip
        return outcome

    def client_differences(self, ids: Sequence[int] | None) -> Sequence[dict[str, Any]]:
        """id, project_number, name, before and after of projects whose client is not the provider's name."""
        return self._database.rows(
            _q.client_differences, {"ids": list(ids) if ids is not None else None}
        )

    def reset_clients(self, ids: Sequence[int], *, actor: str) -> int:
        """The provider's name becomes the local client again; returns the projects changed."""
        with self._database.transaction() as tx:
            changed = [row["id"] for row in tx.execute(_q.reset_clients, {"ids": list(ids)})]
            if changed:
                record(
                    tx, actor=actor, action="projects.client_reset", target="projects", detail={"ids": changed}, request_id=None
                )  # fmt: skip
        return len(changed)

    def missing(self, ids: Sequence[int]) -> Sequence[int]:
        """Which of these ids name no project."""
        return [row["id"] for row in self._database.rows(_q.missing_ids, {"ids": list(ids)})]


def _stage(tx: Connection, rows: Sequence[ProjectRow]) -> None:
    tx.execute(_q.begin_import)
    with tx.cursor().copy(_q.copy_import) as copy:
        for row in rows:
            copy.write_row((row.line, row.id, *(row.values.get(name) for name in EDITABLE)))


def _write(tx: Connection, editable: list[str], total: int) -> ImportOutcome:
    differences = tx.execute(
        _q.import_differences, {"columns": editable, "limit": _SHOWN}
    ).fetchall()
    updated = tx.execute(_q.import_updates, {"columns": editable}).rowcount
    created = tx.execute(_q.import_creates).rowcount
    return ImportOutcome(
        created=created,
        updated=updated,
        unchanged=total - updated - created,
        differences=differences,
    )
