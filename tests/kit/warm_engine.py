"""An engine for thousands of short histories: one database, its sessions kept, emptied in between."""

from __future__ import annotations

from typing import Any

from integrations_hub import sync_wiring
from tests.kit.engine import Engine
from tests.kit.fake_list import FakeList

# small tables: DELETE is quicker than TRUNCATE, which makes new files
_EMPTY = "".join(
    f"DELETE FROM hub.{table};"
    for table in (
        "integration_external_link", "projects", "integration_state", "quarantine", "sync_absent", "sync_chunk",
        "sync_change", "sync_body", "sync_page", "resync_covered", "resync_request",
        "integration_lease", "integration_run",
    )
) + "UPDATE hub.integration_connection SET filter_probes = '{}'"  # fmt: skip


class WarmEngine(Engine):
    """As Engine, but all runs share their sessions, as no two processes would: for effects, not for faults."""

    _made: sync_wiring.Stages | None = None

    def stages(self) -> sync_wiring.Stages:
        """The same stages every time, for the list that is the provider now."""
        if self._made is None:
            self.standing: Any = _Standing(self)
            wanted, self.client = self.client, self.standing
            self._made = super().stages()
            self.client = wanted
        return self._made

    def empty(self, client: FakeList, **options: Any) -> None:
        """As after connecting: nothing was ever synced; `options` are the rule's from now on."""
        with self.database.transaction() as tx:
            tx.execute(_EMPTY)
        self.client = client
        if any(self.rule.body.get(name) != value for name, value in options.items()):
            self.change_rule(**options)

    def edit(self, external_id: str, **columns: Any) -> None:
        """As a person in the Hub would."""
        for column, value in columns.items():
            self.database.execute(
                f"UPDATE hub.projects p SET {column} = %(value)s FROM hub.integration_external_link l "
                "WHERE l.local_id = p.id AND l.external_id = %(id)s",
                {"value": value, "id": external_id},
            )

    def state(self) -> dict[str, Any]:
        """What a sync decides: rows, links and the mark, without ids and times of ours."""
        rows = self.rows(
            "SELECT to_jsonb(p) - '{id,created_at,updated_at,client_sync_policy_state}'::text[] AS project,"
            "       p.client_sync_policy_state - '{at,run_id}'::text[] AS client_state, l.external_id,"
            "       to_jsonb(l) - '{id,local_id,synced_at,run_id,idempotency_key,missing_since}'::text[] AS link"
            "  FROM hub.projects p LEFT JOIN hub.integration_external_link l ON l.local_id = p.id"
        )
        return {
            "mark": self.mark(),
            "rows": sorted(map(str, rows)),
            "links": self.row("SELECT count(*) AS n FROM hub.integration_external_link")["n"],
        }


class _Standing:
    """Passes everything on to the engine's list of the moment."""

    def __init__(self, engine: WarmEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine.client, name)
