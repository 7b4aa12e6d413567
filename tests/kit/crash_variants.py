"""Engines that are wrong on purpose: the crash protocol must catch each of them, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from integrations_hub.store import sync as store_sync
from integrations_hub.sync import window
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.stage import enter
from integrations_hub.sync.upsert import Upsert

# as check_fence, but it neither locks nor renews the lease row
_LOOK = """
SELECT set_config('hub.writer', 'sync', true), l.stage, r.ended_at IS NOT NULL AS ended
  FROM hub.integration_lease l JOIN hub.integration_run r ON r.id = %(run_id)s
 WHERE l.key = %(key)s AND l.run_id = %(run_id)s AND l.fence = %(fence)s
"""


def cursor_first() -> None:
    """The mark moves before the data is written."""
    as_shipped = Upsert.run

    def run(self: Upsert, run_id: int) -> dict[str, Any]:
        with enter(self.store, self.runs, run_id, "upsert") as stage, stage.write() as tx:
            tx.move_mark(stage.run.mark_to, Pinned.of(stage.run).generation)
        return as_shipped(self, run_id)

    Upsert.run = run  # type: ignore[method-assign]


def cursor_last() -> None:
    """The mark moves after the data, and the next run asks for what is later than it: no overlap, `>`."""
    window.WindowChoice._before = lambda _self, mark: mark + timedelta(seconds=1)  # type: ignore[method-assign]


def no_fence() -> None:
    """Every check of the fence passes."""

    def check_fence(tx: Any, *_: Any) -> None:
        tx.execute("SELECT set_config('hub.writer', 'sync', true)")

    store_sync.check_fence = check_fence


def looked_at_fence() -> None:
    """The fence is compared by a plain SELECT."""

    def check_fence(tx: Any, run: Any, fence: int, ttl_s: int) -> None:
        names = {"run_id": run.id, "key": run.lease_key, "fence": fence}
        row = tx.execute(_LOOK, names).fetchone()
        if row is None or row["ended"]:
            raise store_sync.RunLost(f"Run {run.id} was overtaken.")

    store_sync.check_fence = check_fence


VARIANTS: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (cursor_first, cursor_last, no_fence, looked_at_fence)
}
