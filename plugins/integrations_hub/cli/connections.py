"""`hub connections …`: decisions about connections without a browser."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from integrations_hub.cli.reporting import AsJson, actor, tell
from integrations_hub.cli.state import repository

connections = typer.Typer(no_args_is_help=True, help="Connections and whose tokens they hold.")


@connections.command()
def adopt(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="PROVIDER/KEY…", help="Which connections.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every locked connection.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let this Hub use the tokens of a copied or restored database. The other Hub must be off for good.

    Two Hubs that spend the same tokens lose them both. Without a name: list what is locked.
    """
    from integrations_hub.admin_wiring import admin
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.cli.state import state_folder

    environ = {**os.environ, "HUB_STATE_DIR": str(state_folder(os.environ, repository()))}
    with hub_database() as database:
        adoption = admin(database, environ).adoption()
        locked = [f"{one.provider_key}/{one.key}" for one in adoption.locked()]
        wanted = locked if everything else names or []
        for name in wanted:
            provider, _, key = name.partition("/")
            adoption.adopt(provider, key, actor=actor(), request_id=None)
    left = [name for name in locked if name not in wanted]
    if as_json:
        print(json.dumps({"instance": adoption.instance_id, "adopted": wanted, "locked": left}))
        return
    for name in wanted:
        print(f"adopted {name}")
    for name in left:
        print(f"locked  {name}")
    if not locked:
        tell("Nothing is locked.")
