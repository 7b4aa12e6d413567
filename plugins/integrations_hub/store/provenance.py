"""What is stored of a project's past."""

from __future__ import annotations

from typing import Any

from integrations_hub.domain.local_entity import PROJECT
from integrations_hub.domain.policies import by_column
from integrations_hub.domain.provenance import Step
from integrations_hub.errors import NotFound
from integrations_hub.store.database import Database, Row
from integrations_hub.store.statements import load

_q = load("provenance")
_COLUMNS = PROJECT.image_columns[:12]


class PostgresProvenanceStore:
    """Read-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def project(self, project_id: int) -> dict[str, str | None]:
        """The values now by column. Raises NotFound."""
        row = self._database.row(_q.project, {"id": project_id, "columns": list(_COLUMNS)})
        if row is None:
            raise NotFound(
                f"There is no project {project_id}.",
                hint="Take the id from `hub projects export`.",
                code="PROJECT_UNKNOWN",
            )
        return dict(row["now"])

    def links(self, project_id: int) -> list[dict[str, Any]]:
        """Records of providers that the project stands for."""
        return self._database.rows(_q.links, {"id": project_id})

    def steps(self, project_id: int) -> list[Step]:
        """What runs wrote to it, oldest first."""
        return [_step(row) for row in self._database.rows(_q.steps, {"id": project_id})]


def _step(row: Row) -> Step:
    plan = row["plan"]
    lines = plan["lines"]
    mapped = [line["target"] for line in lines]
    policies = by_column(PROJECT, mapped, plan["policies"])
    return Step(
        run_id=row["run_id"],
        action=row["action"],
        at=row["applied_at"],
        before=_by_column(row["before"]),
        after=_by_column(row["after"]),
        remote={}
        if row["remote"] is None
        else dict(zip(PROJECT.column_names, row["remote"], strict=False)),
        external_id=row["external_id"],
        origin=f"{row['provider_key']}:{row['connection_key']}:{row['object_key']}",
        rule_id=row["rule_id"],
        rule_revision=plan.get("rule_revision"),
        mapping_version=plan.get("mapping_version"),
        sources={line["target"]: line["source"] for line in lines},
        policies=dict(zip(PROJECT.column_names, policies, strict=True)),
        undoes=plan.get("undo_run_id"),
    )


def _by_column(image: list[str | None] | None) -> dict[str, str | None] | None:
    return None if image is None else dict(zip(_COLUMNS, image, strict=False))
