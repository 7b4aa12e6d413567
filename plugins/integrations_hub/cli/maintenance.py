"""`hub maintenance`: the lock file that api-server, scheduler and tasks look at."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from integrations_hub.admin import maintenance
from integrations_hub.cli.reporting import AsJson
from integrations_hub.cli.state import repository, state_folder
from integrations_hub.errors import SettingInvalid

app = typer.Typer(no_args_is_help=True, help="Maintenance mode: nothing is changed meanwhile.")


@app.command()
def on(
    reason: Annotated[str, typer.Option(help="What people are told.")] = "",
    as_json: AsJson = False,
) -> None:
    """Refuse changes from now on; a run under way stops at its next write and waits."""
    maintenance.switch_on(_folder(), reason)
    _tell(as_json)


@app.command()
def off(as_json: AsJson = False) -> None:
    """Let changes in again; HUB_MAINTENANCE in a process's environment stays in force."""
    maintenance.switch_off(_folder())
    _tell(as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Whether it is on, and why; exit code 0 either way."""
    _tell(as_json)


def _folder() -> Path:
    """The folder that the Hub's processes look into. Raises SettingInvalid when none is known."""
    folder = state_folder(os.environ, repository())
    if not folder.is_dir():
        raise SettingInvalid(
            f"There is no state folder {folder}, so no process of the Hub would see a lock file.",
            hint="Set HUB_STATE_DIR to the folder that Airflow's processes have, or HUB_MAINTENANCE=true in their environment.",
        )
    return folder


def _tell(as_json: bool) -> None:
    folder = state_folder(os.environ, repository())
    why = maintenance.reason({**os.environ, "HUB_STATE_DIR": str(folder)})
    if as_json:
        print(json.dumps({"on": why is not None, "reason": why, "file": str(folder / maintenance.LOCK_FILE)}))  # fmt: skip
    else:
        print(f"Maintenance is on: {why}." if why is not None else "Maintenance is off.")
