"""What a run changes or would change: pages for the screen, and a download without personal data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.run import Run
from integrations_hub.ports.runs import Change, ChangeStore, RunStore

_BATCH = 1000
# how the engine keeps the row, nothing that a person decides on
_INNER = ("base", "client_sync_policy_state")


class Changes:
    """Read from the stored plan of changes; a run that never planned has none."""

    def __init__(self, runs: RunStore, changes: ChangeStore, registry: Registry) -> None:
        self._runs = runs
        self._changes = changes
        self._registry = registry

    def page(
        self, run_id: int, *, after: int, limit: int, action: str | None
    ) -> list[dict[str, Any]]:
        """By seq, each with its changed columns. Raises NotFound without the run."""
        run = self._runs.get(run_id)
        found = self._changes.page(run.id, after=after, limit=limit, action=action)
        return [_as_dict(change, without=_INNER) for change in found]

    def download(self, run_id: int) -> Iterator[dict[str, Any]]:
        """The run, then each change, then each reject; values of mapped columns without personal data only.

        Raises NotFound at once, not at the first line.
        """
        run = self._runs.get(run_id)
        return self._lines(run)

    def _lines(self, run: Run) -> Iterator[dict[str, Any]]:
        yield {"kind": "run", **_summary(run)}
        shown, after = self._shown(run), 0
        while page := self._changes.page(run.id, after=after, limit=_BATCH, action=None):
            for change in page:
                yield {"kind": "change", **_as_dict(change, only=shown)}
            after = page[-1].seq
        for reject in self._changes.rejects(run.id):
            yield {"kind": "reject", **reject}

    def _shown(self, run: Run) -> frozenset[str]:
        """Columns that the run's mapping fills, none of them from a field with personal data."""
        fields = self._registry.get_object_catalog(run.provider_key, run.object_key).fields
        lines = run.plan.get("lines", [])
        private = {
            line["target"]
            for line in lines
            if line.get("source") not in fields or fields[line["source"]].pii
        }
        return frozenset(line["target"] for line in lines) - private


def _as_dict(
    change: Change, *, only: frozenset[str] | None = None, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    before, after = change.before or {}, change.after or {}
    fields = {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in {**before, **after}
        if name not in without
        and (only is None or name in only)
        and before.get(name) != after.get(name)
    }
    return {
        "seq": change.seq,
        "external_id": change.external_id,
        "local_id": change.local_id,
        "action": change.action,
        "reason": change.reason,
        "outcome": change.outcome,
        "fields": fields,
    }


def _summary(run: Run) -> dict[str, Any]:
    names = ("id", "state", "trigger", "params", "warnings", "error_code", "rule_revision")
    shown = {name: value for name, value in asdict(run).items() if name in names}
    instants = {
        name: instant.isoformat() if instant else None
        for name, instant in (("started_at", run.started_at), ("ended_at", run.ended_at))
    }
    return {**shown, **instants, "of": run.lease_key, "counts": run.counts()}
