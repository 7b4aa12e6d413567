"""Questions to a PostgreSQL server that are asked before the Hub's tables exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from integrations_hub.errors import DatabaseUnusable
from integrations_hub.store.statements import load

_q = load("server")


def create_database(url: str, name: str) -> bool:
    """Create `name` on the server of `url` unless it is there; returns whether it was made."""
    with _session(url) as session:
        if session.execute(_q.database_exists, {"name": name}).fetchone():
            return False
        try:
            session.execute(sql.SQL(_q.create_database).format(name=sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            return False
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseUnusable(
                f'The database user may not create the database "{name}".',
                hint=f'Create "{name}" yourself, or give the user of HUB_DATABASE_URL the right CREATEDB.',
            ) from error
    return True


def server_version(url: str) -> int:
    """The server's version as one number: 180006 is 18.6."""
    with _session(url) as session:
        row = session.execute(_q.version).fetchone()
    return int(row[0]) if row else 0


def airflow_revision(url: str) -> str | None:
    """The revision of Airflow's tables at `url`; None when there are none."""
    with _session(url) as session:
        found = session.execute(_q.airflow_tables).fetchone()
        if not found or not found[0]:
            return None
        row = session.execute(_q.airflow_revision).fetchone()
    return str(row[0]) if row else None


@contextmanager
def _session(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as session:
            yield session
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatabaseUnusable(f"The database did not accept us: {reason}") from error
