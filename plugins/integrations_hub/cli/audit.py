"""`hub audit`: the log of who did what, and the check of its chain."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from integrations_hub.cli.reporting import AsJson
from integrations_hub.errors import SettingInvalid

if TYPE_CHECKING:
    from integrations_hub.domain.audit import AuditHead

app = typer.Typer(no_args_is_help=True, help="Who did what, and whether the log is as written.")


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    before: Annotated[int | None, typer.Option(help="Only entries before this seq.")] = None,
    as_json: AsJson = False,
) -> None:
    """The newest entries first."""
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.store.audit import PostgresAuditStore

    with hub_database() as database:
        found = PostgresAuditStore(database).page(before=before, limit=limit)
    if as_json:
        print(json.dumps([asdict(entry) for entry in found], default=str))
        return
    for entry in found:
        print(f"{entry.seq:>7}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.actor}  {entry.action}  {entry.target}")  # fmt: skip


@app.command()
def verify(
    noted: Annotated[
        str | None,
        typer.Option(help="A head from a log line `audit_head`, as <seq>:<hash>."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole chain; exit code 1 when an entry was edited, removed or replaced."""
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.store.audit import PostgresAuditStore

    head = _head(noted) if noted else None
    with hub_database() as database:
        verdict = PostgresAuditStore(database).verify(head)
    if as_json:
        print(json.dumps(verdict.as_dict()))
    else:
        print(f"{verdict.entries} entries read, head {verdict.head}.")
        for problem in verdict.problems:
            print(f"{problem.kind}: {problem.text}")
        print("The log is as it was written." if verdict.sound else "The log was tampered with.")
    raise typer.Exit(0 if verdict.sound else 1)


def _head(text: str) -> AuditHead:
    from integrations_hub.domain.audit import AuditHead

    try:
        return AuditHead.read(text)
    except ValueError as error:
        raise SettingInvalid(
            "--noted is no head of the audit log.",
            hint="Give <seq>:<hash> as a log line `audit_head` of the housekeeping Dag has it.",
        ) from error
