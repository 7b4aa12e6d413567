"""Bringing the Hub's database to this code's schema (Alembic revisions, one at a time under a lock)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from integrations_hub.errors import DatabaseUnusable

log = logging.getLogger(__name__)
_LOCK = 0x68756201  # "hub" + 1: only set-up work takes this advisory lock


def head() -> str:
    """The revision this code needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(url: str) -> str | None:
    """The revision of the database at `url`; None when it was never migrated."""
    with _connection(url) as connection:
        return _revision(connection)


def upgrade(url: str, revision: str = "head") -> str:
    """Migrate up, several starters one after the other; returns the revision reached."""
    return _migrate(url, revision, up=True)


def downgrade(url: str, revision: str) -> str:
    """Migrate down to `revision` ("base" for none); each revision's docstring names what is lost."""
    return _migrate(url, revision, up=False)


def _migrate(url: str, revision: str, *, up: bool) -> str:
    with _connection(url) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS hub")
            connection.commit()
            before = _revision(connection)
            _refuse_newer(before)
            config = _config()
            config.attributes["connection"] = connection
            (command.upgrade if up else command.downgrade)(config, revision)
            connection.commit()
            after = _revision(connection) or "base"
        finally:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_LOCK,))
            connection.commit()
    if after != (before or "base"):
        log.info("database_migrated from=%s to=%s", before or "base", after)
    return after


def _refuse_newer(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseUnusable(
            f"The Hub's database is at schema revision {revision}, which this code does not know.",
            hint="Start the release that made it, or restore a backup from before that release.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(
        connection, opts={"version_table": "alembic_version", "version_table_schema": "hub"}
    )
    return context.get_current_revision()


@contextmanager
def _connection(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.pool.NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnusable(f"The Hub's database did not accept us: {reason}") from error
    finally:
        engine.dispose()
