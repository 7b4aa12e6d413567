"""The command `hub`. Every command imports what it needs when it runs: `hub --help` answers at once."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from integrations_hub.cli import audit, bench, dev, maintenance, projects, records, sealed_secrets
from integrations_hub.cli.connections import connections
from integrations_hub.cli.reporting import AsJson, ReportingGroup, tell
from integrations_hub.cli.state import repository

app = typer.Typer(
    cls=ReportingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Integrations Hub: projects from outside systems, synced by Airflow.",
)
db = typer.Typer(no_args_is_help=True, help="The Hub's own tables.")
app.add_typer(db, name="db")
app.add_typer(sealed_secrets.app, name="secrets")
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(connections, name="connections")
app.add_typer(dev.app, name="dev")
app.add_typer(projects.app, name="projects")
app.add_typer(records.rules, name="rules")
app.add_typer(records.run, name="run")

Port = Annotated[
    int, typer.Option(help="Port of Airflow and the Hub on 127.0.0.1; 0 takes a free one.")
]


@app.command()
def up(port: Port = 8080) -> None:
    """Start PostgreSQL, Airflow and the Hub, and stay until Ctrl-C."""
    from integrations_hub.cli.up import run_up

    run_up(repository(), os.environ, port)


@app.command()
def demo(
    port: Port = 8080,
    once: Annotated[
        bool, typer.Option("--once", help="End after the third run's summary.")
    ] = False,
) -> None:
    """Start everything with a sandbox to sync from, connect, and show three runs."""
    from integrations_hub.cli.demo import run_demo

    run_demo(repository(), os.environ, port, once=once)


@app.command()
def doctor(port: Port = 8080, as_json: AsJson = False) -> None:
    """Check settings, ports, database and provider files."""
    from integrations_hub.cli.doctor import diagnose

    findings = diagnose(os.environ, repository(), port)
    if as_json:
        print(json.dumps([finding.as_dict() for finding in findings]))
    else:
        for finding in findings:
            print(finding)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def sandbox(context: typer.Context, provider: str) -> None:
    """Run a provider's sandbox server; all further arguments are its own (try --help after the provider)."""
    from integrations_hub.cli.sandbox import run_sandbox

    run_sandbox(provider, context.args)


@app.command()
def prepare() -> None:
    """What a container does before the stack starts: migrations (RUN_MIGRATIONS_ON_START) and the login file."""
    from integrations_hub.cli.prepare import run_prepare

    run_prepare(os.environ)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove the state folder with all its data."""
    from integrations_hub.cli.state import State, remove_state, state_folder

    state = State(state_folder(os.environ, repository()))
    if not yes:
        typer.confirm(f"Remove {state.folder} and all its data for good?", abort=True, err=True)
    remove_state(state)
    tell(f"{state.folder} is removed.")


@db.command()
def upgrade(revision: str = "head") -> None:
    """Migrate the Hub's tables up; several starters wait for each other."""
    from integrations_hub.cli.hub_database import hub_database_url
    from integrations_hub.store.migrate import upgrade as migrate

    with hub_database_url(os.environ, repository()) as url:
        tell("Running migrations…")
        print(migrate(url, revision))


@db.command()
def downgrade(revision: str) -> None:
    """Migrate the Hub's tables down to REVISION ("base": none). Data that it would lose is named in the revision."""
    from integrations_hub.cli.hub_database import hub_database_url
    from integrations_hub.store.migrate import downgrade as migrate

    with hub_database_url(os.environ, repository()) as url:
        print(migrate(url, revision))


@db.command()
def current(as_json: AsJson = False) -> None:
    """The revision of the Hub's tables, and the one this code needs."""
    from integrations_hub.cli.hub_database import hub_database_url
    from integrations_hub.store.migrate import current as revision_of
    from integrations_hub.store.migrate import head

    with hub_database_url(os.environ, repository()) as url:
        found = {"current": revision_of(url), "needed": head()}
    print(
        json.dumps(found)
        if as_json
        else f"{found['current'] or 'none'} (needed: {found['needed']})"
    )
