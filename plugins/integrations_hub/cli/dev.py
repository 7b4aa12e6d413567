"""`hub dev ...`: what helps while developing and must never touch real data."""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer

from integrations_hub.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="For development: refused unless HUB_DEBUG=true.")


@app.callback()
def _dev() -> None:
    """For development: refused unless HUB_DEBUG=true."""


@app.command()
def backfill_bqe_client() -> None:
    """Copy the local client into bqe_client_name where it is empty and the project has no link."""
    refuse_unless_debug(os.environ)
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.store.projects import PostgresProjectStore

    with hub_database() as database:
        print(f"{PostgresProjectStore(database).backfill_bqe_client()} projects are filled.")


def refuse_unless_debug(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError without HUB_DEBUG=true."""
    if environ.get("HUB_DEBUG", "").strip().lower() != "true":
        raise ConfigurationError(
            "This command invents data, so it runs on development databases only.",
            hint="Set HUB_DEBUG=true if this is one.",
            code="DEVELOPMENT_ONLY",
        )
