"""The provider metadata in force, for operators and reports; the files stay the source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.catalog.metadata import Provider
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("providers")


class PostgresProviderStore:
    """Rows of integration_provider, written at every start of the bridge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sync(self, providers: Iterable[Provider]) -> int:
        """Insert or replace what changed; returns how many rows did. Rows of removed providers stay."""
        with self._database.transaction() as tx:
            return sum(
                tx.execute(
                    _q.sync,
                    {
                        "key": provider.key,
                        "schema_version": provider.schema_version,
                        "display_name": provider.display_name,
                        "raw": Jsonb(provider.raw),
                        "checksum": provider.checksum,
                    },
                ).rowcount
                for provider in providers
            )

    def list(self) -> list[dict[str, Any]]:
        """key, schema_version, display_name, checksum and loaded_at, by key."""
        return self._database.rows(_q.list_loaded)
