"""The Hub's database for a command: the configured one, the running stack's, or the embedded one for this while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from integrations_hub.cli.databases import check_url
from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.state import State, repository, state_folder
from integrations_hub.store.database import Database


@contextmanager
def hub_database_url(environ: Mapping[str, str], source: Path) -> Iterator[str]:
    """Yield the address of the Hub's database; an embedded server that we had to start is stopped again."""
    given = environ.get("HUB_DATABASE_URL", "")
    if given:
        check_url(given)
        yield given
        return
    server = EmbeddedPostgres(State(state_folder(environ, source)).postgres)
    running = server.url_if_running()
    if running:
        yield running
        return
    with server:
        yield server.url


@contextmanager
def hub_database() -> Iterator[Database]:
    """A session on the database of this process's environment."""
    with hub_database_url(os.environ, repository()) as url:
        database = Database.from_url(url)
        try:
            yield database
        finally:
            database.close()
