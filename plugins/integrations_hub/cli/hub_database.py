"""The Hub's database for a command: the configured one, the running stack's, or the embedded one for this while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from integrations_hub.cli.databases import check_url
from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.state import State, state_folder


@contextmanager
def hub_database_url(environ: Mapping[str, str], repository: Path) -> Iterator[str]:
    """Yield the address of the Hub's database; an embedded server that we had to start is stopped again."""
    given = environ.get("HUB_DATABASE_URL", "")
    if given:
        check_url(given)
        yield given
        return
    server = EmbeddedPostgres(State(state_folder(environ, repository)).postgres)
    running = server.url_if_running()
    if running:
        yield running
        return
    with server:
        yield server.url
