"""What the commands share: `--json`, who acts, and an end in a sentence and an exit code, never a traceback."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from integrations_hub.cli.shutdown import StopRequested
from integrations_hub.errors import HubError, SettingInvalid
from integrations_hub.transport.log_guard import install

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class ReportingGroup(TyperGroup):
    """The group of all commands: turns every HubError into text on stderr. HUB_DEBUG=true shows the traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        install()
        try:
            return super().invoke(ctx)
        except StopRequested as stop:
            tell(str(stop))
            raise typer.Exit(stop.exit_code) from None
        except KeyboardInterrupt:
            tell("Stopped by Ctrl-C.")
            raise typer.Exit(130) from None
        except HubError as error:
            if os.environ.get("HUB_DEBUG", "").lower() == "true":
                raise
            tell(f"{error.code}: {error.message}")
            tell(f"What to do: {error.hint}")
            raise typer.Exit(1) from None


def actor() -> str:
    """A command has no sign-in: the user of this machine. Raises SettingInvalid without a user name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError) as error:
        raise SettingInvalid("This process has no user name.", hint="Set USER.") from error


def tell(text: str) -> None:
    """A line for a person: on stderr, so that stdout stays data."""
    print(text, file=sys.stderr, flush=True)
