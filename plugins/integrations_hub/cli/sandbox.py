"""`hub sandbox <provider>`: the provider's own test double, found by folder."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import typer

from integrations_hub.errors import NotFound


def sandboxes() -> list[str]:
    """Providers that bring a sandbox server."""
    package = importlib.import_module("providers")
    folders = Path(str(package.__path__[0])).glob("*/sandbox/server.py")
    return sorted(path.parent.parent.name for path in folders)


def run_sandbox(provider: str, arguments: Sequence[str]) -> None:
    """Run the server in this process until it is stopped."""
    if provider not in sandboxes():
        raise NotFound(
            f"There is no sandbox for '{provider}'.",
            hint=f"Sandboxes: {', '.join(sandboxes()) or 'none'}.",
        )
    server = importlib.import_module(f"providers.{provider}.sandbox.server")
    raise typer.Exit(server.main(list(arguments)))
