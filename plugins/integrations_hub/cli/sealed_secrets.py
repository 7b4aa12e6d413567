"""`hub secrets`: keys, the settings file, and bringing every stored secret under a new key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations_hub.cli.reporting import AsJson, actor, tell
from integrations_hub.cli.state import repository, state_folder

if TYPE_CHECKING:
    from integrations_hub.admin.sealed_secrets import KeyReport, Secrets

app = typer.Typer(no_args_is_help=True, help="Keys and the settings file.")


@app.command()
def new_key() -> None:
    """Print a new key for INTEGRATIONS_SECRET_KEY."""
    from cryptography.fernet import Fernet

    print(Fernet.generate_key().decode())


@app.command()
def env_file(path: Path = Path(".env")) -> None:
    """Write PATH for docker compose from .env.example, every secret generated."""
    from integrations_hub.cli.env_file import write_env_file

    write_env_file(repository() / ".env.example", path)
    tell(f"{path} is written. Fill in what your provider gave you, then: docker compose up -d")


@app.command()
def rotate(
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing; exit code 1 unless all is done.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Secrets per transaction.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Seal every stored secret anew with the first key. Runs go on; killed, it goes on where it was."""
    with _secrets() as secrets:
        found = (
            secrets.report()
            if verify
            else secrets.rotate(actor=actor(), progress=_progress, batch=batch)
        )
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        _print(found)
    raise typer.Exit(0 if found.done else 1)


@app.command()
def forget(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: AsJson = False
) -> None:
    """Drop every stored secret that no key opens (its key is lost); its connection must be reconnected."""
    with _secrets() as secrets:
        lost = secrets.report().unreadable
        if lost and not yes:
            typer.confirm(f"Drop {len(lost)} secrets that no key opens?", abort=True, err=True)
        connections = secrets.forget_unreadable(actor=actor())
    if as_json:
        print(json.dumps({"connections": connections}))
    else:
        print(f"{len(lost)} secrets dropped; {len(connections)} connections must be reconnected.")


@contextmanager
def _secrets() -> Iterator[Secrets]:
    from integrations_hub.admin_wiring import secrets
    from integrations_hub.cli.doctor import ring_setting
    from integrations_hub.cli.hub_database import hub_database

    ring = ring_setting(os.environ, state_folder(os.environ, repository()))
    with hub_database() as database:
        yield secrets(database, {"INTEGRATIONS_SECRET_KEY": ring})


def _progress(seen: int, total: int) -> None:
    tell(f"{seen} of {total} secrets…")


def _print(found: KeyReport) -> None:
    print(f"{found.current} of {found.total} secrets are sealed with key {found.key_id}; {found.rotated} were sealed anew.")  # fmt: skip
    for key_id, count in found.keys.items():
        if key_id != found.key_id:
            print(f"{count} still carry key {key_id}.")
    for name in found.unreadable:
        print(f"No key opens {name}.")
