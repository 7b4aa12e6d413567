"""Records that could not be loaded, as admins see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Quarantined:
    """A record that waits. `reason` names field and cause, never a value; `pointer` is a JSON pointer."""

    id: int
    external_id: str
    code: str
    reason: str
    pointer: str
    attempts: int
    run_id: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None


class QuarantineStore(Protocol):
    def list(
        self,
        *,
        connection_id: int,
        object_key: str,
        resolved: bool,
        before_id: int | None,
        limit: int,
    ) -> list[Quarantined]:
        """Newest first; the waiting ones, or those that have left."""
