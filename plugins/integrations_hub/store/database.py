"""How the Hub talks to its PostgreSQL: short transactions on psycopg 3 connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from integrations_hub.errors import DatabaseBusy, DatabaseUnavailable, DatabaseUnusable

# trust.md 3.2: a frozen holder with an open transaction must not block a take-over for long.
_SESSION = (
    "SET search_path = hub, public; SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '15s'; "
    "SET lock_timeout = '10s'; SET statement_timeout = '60s'; "
    # tables grow from empty within one session: a plan kept from the start would be quadratic
    "SET plan_cache_mode = force_custom_plan; "
    # a list of changes is looked up by key: the default price of that is from the time of spinning disks
    "SET random_page_cost = 1.1; "
    # compiling the one large statement of a run takes longer than running it
    "SET jit = off"
)
_KEEPALIVE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
}
_UNUSABLE = (
    "28",
    "3D",
    "3F",
    "42",
)  # SQLSTATE classes: authorisation, no database, no schema, no table
# SQLSTATE of what passes when the other session is done
_BUSY = {
    "55P03": "a row stayed locked for 10 s",
    "40P01": "two sessions waited for each other",
    "40001": "another session changed the same rows",
}
_RELATION = re.compile(r'relation "([^"]+)"')
Row = dict[str, Any]
Connection = psycopg.Connection[Row]


class Database:
    """Hands out one lazily opened session per Database object; not for use by two threads at once.

    `connect` opens a fresh session (a task passes PostgresHook, everything else a URL); `before` is
    called before every transaction and may raise.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._before = before
        self._session: Connection | None = None

    @staticmethod
    def from_url(url: str, connect_timeout_s: int = 5) -> Database:
        """Sessions on the database that `url` (postgresql://...) names."""

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(url, connect_timeout=connect_timeout_s, **_KEEPALIVE)  # type: ignore[arg-type]

        return Database(connect)

    def fork(self) -> Database:
        """A Database of its own session at the same place, for another thread or purpose."""
        return Database(self._connect, self._before)

    def asking(self, before: Callable[[], None]) -> Database:
        """The same place, with `before` in front of every transaction; sessions are not shared."""
        return Database(self._connect, before)

    def session(self) -> Connection:
        """The open session, in autocommit mode; a broken one is replaced."""
        if self._session is None or self._session.closed or self._session.broken:
            self._session = self._open()
        return self._session

    def _open(self) -> Connection:
        try:
            session = self._connect()
        except psycopg.OperationalError as error:
            raise _unreachable(error) from error
        session.autocommit = True
        session.row_factory = dict_row
        session.execute(_SESSION)
        return session

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: commits at the end, rolls back on any error."""
        with self.statement() as session, session.transaction():
            yield session

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """For one statement, which is a transaction by itself and one round trip; inside `transaction()` a part of it."""
        self._before()
        try:
            yield self.session()
        except psycopg.OperationalError as error:
            raise _unreachable(error) from error

    def rows(self, sql: str, params: dict[str, Any] | None = None) -> list[Row]:
        """All rows of one statement."""
        with self.statement() as session:
            return session.execute(sql, params).fetchall()

    def row(self, sql: str, params: dict[str, Any] | None = None) -> Row | None:
        """The first row, or None when the statement returned none."""
        with self.statement() as session:
            return session.execute(sql, params).fetchone()

    def execute(self, sql: str, params: dict[str, Any] | None = None) -> int:
        """Rows affected by one statement."""
        with self.statement() as session:
            return session.execute(sql, params).rowcount

    def values(self, sql: str, params: dict[str, Any] | None = None) -> tuple[Any, ...] | None:
        """The first row as a plain tuple, sent in binary form: for large values."""
        with self.statement() as session:
            cursor = session.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(sql, params).fetchone()

    def copy(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """COPY ... FROM STDIN."""
        with self.statement() as session, session.cursor().copy(sql) as copy:
            for row in rows:
                copy.write_row(row)

    def close(self) -> None:
        """End the session; the next statement would open a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _unreachable(error: psycopg.OperationalError) -> DatabaseUnusable | DatabaseUnavailable:
    """Wrong address or password is for an admin to mend; everything else passes by itself."""
    state = error.sqlstate or ""
    if state in _BUSY:
        table = error.diag.table_name or _relation(error.diag.context)
        return DatabaseBusy(
            f"The Hub's database: {_BUSY[state]}, in the table {table}.", retry_after_s=30
        )
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if (
        state[:2] in _UNUSABLE
        or "password authentication failed" in text
        or "does not exist" in text
    ):
        return DatabaseUnusable(f"The Hub's database refused us: {text}")
    return DatabaseUnavailable(
        f"The Hub's database did not answer: {text}",
        retry_after_s=5,
        hint="Check that PostgreSQL runs and that HUB_DATABASE_URL names it; it is tried again by itself.",
    )


def _relation(context: str | None) -> str:
    """PostgreSQL names the table of a lock in the error's context only."""
    found = _RELATION.search(context or "")
    return found[1] if found else "(not named by PostgreSQL)"
