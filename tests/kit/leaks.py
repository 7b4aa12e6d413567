"""Looking for planted values where none may be: twelve encodings, written without the guard's own list of forms."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import sql

from integrations_hub.ports.credentials import Sealed
from integrations_hub.refresh import purpose_of
from integrations_hub.store.database import Database
from integrations_hub.vault.keyring import Keyring

_SHORTEST = 8
_HALVED_FROM = 24
# what may hold a secret: sealed
SEALED = frozenset({("encrypted_secret", "ciphertext"), ("oauth_flow", "verifier_ciphertext")})


def _inside_base64(raw: bytes, before: int) -> str:
    """The characters that the bytes cannot share with what stands around them."""
    coded = base64.b64encode(b"\xff" * before + raw + b"\xff" * 3).decode()
    first, bits = (before * 8 + 5) // 6, (before + len(raw)) * 8
    return coded[first : bits // 6]


ENCODINGS: dict[str, Callable[[str], Iterable[str]]] = {
    "plain": lambda s: [s],
    "upper case": lambda s: [s.upper()],
    "lower case": lambda s: [s.lower()],
    "URL": lambda s: [quote(s, safe=""), quote(s)],
    "URL twice": lambda s: [quote(quote(s, safe=""), safe="")],
    "form": lambda s: [quote_plus(s)],
    "JSON": lambda s: [json.dumps(s)[1:-1], json.dumps(json.dumps(s))[3:-3]],
    "HTML": lambda s: [html.escape(s)],
    "hexadecimal": lambda s: [s.encode().hex(), s.encode().hex(" "), s.encode().hex().upper()],
    "base64": lambda s: [_inside_base64(s.encode(), n) for n in range(3)],
    "base64url": lambda s: [
        _inside_base64(s.encode(), n).replace("+", "-").replace("/", "_") for n in range(3)
    ],
    "halves": lambda s: [s[: len(s) // 2], s[len(s) // 2 :]] if len(s) >= _HALVED_FROM else [],
}


def stored_tokens(database: Database, key: str) -> dict[str, str]:
    """access_token and refresh_token of the first connection, opened by a ring that tells nobody."""
    row = database.row(
        "SELECT connection_id, key_id, ciphertext FROM hub.encrypted_secret ORDER BY connection_id LIMIT 1"
    )
    assert row is not None
    sealed = Sealed(row["key_id"], bytes(row["ciphertext"]))
    ring = Keyring.from_setting(key)
    opened = json.loads(ring.open(sealed, purpose=purpose_of(row["connection_id"])))
    return {name: opened[name] for name in ("access_token", "refresh_token")}


class Needles:
    """What is looked for: every secret (name -> value) in every encoding, and in UTF-16 in files."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms: dict[str, str] = {}
        for name, value in secrets.items():
            for encoding, encode in ENCODINGS.items():
                for form in encode(value):
                    if len(form) >= _SHORTEST:
                        self._forms.setdefault(form, f"{name} ({encoding})")
        self._wide = {
            value.encode("utf-16-le"): f"{name} (UTF-16)" for name, value in secrets.items()
        }

    def in_text(self, text: str) -> set[str]:
        """Names of what stands in `text`."""
        return {name for form, name in self._forms.items() if form in text}

    def in_bytes(self, raw: bytes) -> set[str]:
        """The same for a file's content."""
        wide = {name for form, name in self._wide.items() if form in raw}
        return wide | self.in_text(raw.decode("utf-8", "replace"))


def in_files(needles: Needles, *roots: Path, but: str = r"\Z.") -> list[str]:
    """Leaks in every readable file below `roots` whose path does not match `but`."""
    found = []
    for path in _files(roots):
        if re.search(but, str(path)) is None:
            found += [f"{path}: {what}" for what in sorted(needles.in_bytes(path.read_bytes()))]
    return found


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def in_database(
    needles: Needles, url: str, *, but: frozenset[tuple[str, str]] = SEALED
) -> list[str]:
    """Leaks in every column of every table of every schema but PostgreSQL's own, read as text.

    `but`: (table, column) pairs that are left out; a column "*" leaves out the table.
    """
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        for schema, table, column, kind in _columns(connection):
            if (table, column) in but or (table, "*") in but:
                continue
            what = needles.in_text(_column(connection, schema, table, column, kind))
            found += [f"{schema}.{table}.{column}: {one}" for one in sorted(what)]
    return found


def _columns(connection: psycopg.Connection) -> list[tuple[str, str, str, str]]:
    return connection.execute(
        "SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c "
        "JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3"
    ).fetchall()


def _column(connection: psycopg.Connection, schema: str, table: str, column: str, kind: str) -> str:
    """All values; bytes as text where they are text, and in hexadecimal."""
    shown = "{}" if kind == "bytea" else "{}::text"
    query = sql.SQL("SELECT " + shown + " FROM {}").format(
        sql.Identifier(column), sql.Identifier(schema, table)
    )
    values = [value for (value,) in connection.execute(query) if value is not None]
    if kind == "bytea":
        return "\n".join(f"{bytes(v).decode('utf-8', 'replace')} {bytes(v).hex()}" for v in values)
    return "\n".join(values)
