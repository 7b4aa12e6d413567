"""Settings of a connection's object, saved with an optimistic revision."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub.errors import ConflictingChange
from integrations_hub.ports.records import Setting
from integrations_hub.store.audit import record
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("settings")


class PostgresSettingStore:
    """Fulfils ports.SettingStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, connection_id: int, object_key: str) -> Setting | None:
        """None before the first save."""
        row = self._database.row(_q.get, {"connection_id": connection_id, "object_key": object_key})
        return Setting(**row) if row else None

    def save(
        self,
        *,
        connection_id: int,
        object_key: str,
        settings: dict[str, Any],
        schema_version: str,
        expected_revision: int,
        actor: str,
        request_id: str | None,
    ) -> Setting:
        """The next revision; `expected_revision` 0 means "there are none yet".

        Raises ConflictingChange when somebody saved in between.
        """
        values = {
            "connection_id": connection_id,
            "object_key": object_key,
            "settings": Jsonb(settings),
            "schema_version": schema_version,
            "expected_revision": expected_revision,
            "actor": actor,
        }
        statement = _q.replace_setting if expected_revision else _q.insert_setting
        with self._database.transaction() as tx:
            row = tx.execute(statement, values).fetchone()
            if row is None:
                raise ConflictingChange(
                    f"The settings of {object_key} are no longer at revision {expected_revision}.",
                    code="REVISION_CONFLICT",
                )
            record(
                tx,
                actor=actor,
                action="settings.saved",
                target=f"settings:{connection_id}:{object_key}",
                detail={"revision": row["revision"]},
                request_id=request_id,
            )
        return Setting(**row)
