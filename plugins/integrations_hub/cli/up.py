"""`hub up`: the stack with the operator's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integrations_hub.cli.doctor import guard
from integrations_hub.cli.reporting import tell
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import ADMIN, State, state_folder
from integrations_hub.cli.supervisor import Stack, StackOptions


def run_up(repository: Path, environ: Mapping[str, str], port: int) -> None:
    """Start, say where and how to log in, stay until a signal (StopRequested)."""
    state = State(state_folder(environ, repository))
    with Shutdown() as shutdown:
        guard(environ, state.folder)
        with Stack(StackOptions(repository, port=port), environ, state, shutdown, tell) as stack:
            announce(stack, state)
            stack.watch()


def announce(stack: Stack, state: State) -> None:
    """Where a person goes now."""
    base = stack.settings.base_url
    tell(f"Airflow  {base}/")
    tell(f"Hub      {base}/hub/")
    tell(f"Login    {ADMIN} / {state.admin_password()}")
    tell(f"Logs     {state.logs}")
    tell("Ctrl-C stops everything.")
