"""`hub projects`: local projects as files, the local client given back to the provider, and where a value came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations_hub.cli.reporting import AsJson, actor, tell

if TYPE_CHECKING:
    from integrations_hub.admin.projects import Projects

app = typer.Typer(
    no_args_is_help=True,
    help="Local projects: export, import, reset the client, why a value is what it is.",
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, write nothing.")]


@app.command("export")
def export_projects(
    path: Annotated[Path, typer.Argument(help="A .csv or .xlsx file to write.")],
    status: Annotated[
        str | None,
        typer.Option(
            help="One status, or all; without it inactive and deleted projects are left out."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the projects to PATH."""
    with _projects() as projects:
        count = projects.export(path, status=status)
    print(
        json.dumps({"exported": count, "path": str(path)})
        if as_json
        else f"{count} projects are in {path}."
    )


@app.command("import")
def import_projects(
    path: Annotated[Path, typer.Argument(help="A .csv or .xlsx file with a header line.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Create and update projects from PATH: all lines or none. Columns that the provider owns are ignored."""
    with _projects() as projects:
        outcome = projects.import_file(path, actor=actor(), dry_run=dry_run)
    if as_json:
        print(json.dumps(asdict(outcome) | {"dry_run": dry_run}, default=str))
        return
    for row in outcome.differences:
        print(
            f"line {row['line']}, project {row['id']}, {row['column']}: {row['before']!r} -> {row['after']!r}"
        )
    said = "would be" if dry_run else "are"
    print(
        f"{outcome.created} projects {said} created, {outcome.updated} updated, {outcome.unchanged} unchanged."
    )


@app.command("reset-client")
def reset_client(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Project ids; without any, all projects.")
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set the local client to the provider's name again, after showing what that changes."""
    with _projects() as projects:
        found = projects.client_differences(ids or None)
        if not as_json:
            for row in found:
                print(f"project {row['id']} ({row['name']}): {row['before']!r} -> {row['after']!r}")
        changed = 0
        if found and not dry_run:
            if not yes:
                typer.confirm(f"Reset the client of {len(found)} projects?", abort=True, err=True)
            changed = projects.reset_clients([row["id"] for row in found], actor=actor())
    if as_json:
        print(json.dumps({"differences": found, "reset": changed, "dry_run": dry_run}, default=str))
    elif found:
        tell(f"{changed} of {len(found)} clients are reset.")
    else:
        tell("Every local client is the provider's name already.")


@app.command("why")
def why(
    project_id: Annotated[int, typer.Argument(help="The id of the project.", metavar="ID")],
    column: Annotated[str | None, typer.Argument(help="One column; without it, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell why each value of the project is what it is: the run, the provider's field, the policy, or a person."""
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.domain.provenance import explain
    from integrations_hub.store.provenance import PostgresProvenanceStore

    with hub_database() as database:
        store = PostgresProvenanceStore(database)
        values = store.project(project_id)
        if column is not None and column not in values:
            raise typer.BadParameter(
                f"A project has no column {column}; it has {', '.join(values)}."
            )
        links, steps = store.links(project_id), store.steps(project_id)
    asked = list(values) if column is None else [column]
    found = [explain(name, values[name], steps) for name in asked]
    if as_json:
        told = {"id": project_id, "links": links, "columns": [asdict(one) for one in found]}
        print(json.dumps(told, default=str))
        return
    for one in found:
        source = (
            f" From {one.provider_field}, {one.provider_value!r}." if one.provider_field else ""
        )
        print(f"{one.column}: {one.value!r}. {one.text}{source}")
        for old in one.previous:
            print(f"  before: {old['value']!r}")


@contextmanager
def _projects() -> Iterator[Projects]:
    from integrations_hub.admin.projects import Projects
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.store.projects import PostgresProjectStore
    from integrations_hub.transport.table_file import read_table, write_table

    with hub_database() as database:
        yield Projects(PostgresProjectStore(database), read_table, write_table)
