"""The plan that plan pins on the run row and every later stage reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from integrations_hub.domain.mapping import FieldMap
from integrations_hub.domain.run import Run


@dataclass(frozen=True)
class Pinned:
    """`listing`: full | incremental | window. `since`/`until` are naive UTC in the provider's clock."""

    listing: str
    since: datetime | None
    until: datetime | None
    dry_run: bool
    generation: int
    rule_revision: int
    mapping_version: int
    lines: tuple[FieldMap, ...]
    local_entity: str
    client_policy: str
    auto_create: bool

    def as_json(self) -> dict[str, Any]:
        """For the run row."""
        return asdict(self)

    @staticmethod
    def of(run: Run) -> Pinned:
        """Read back from the run row."""
        body = dict(run.plan)
        body["lines"] = tuple(FieldMap(**line) for line in body["lines"])
        for name in ("since", "until"):
            body[name] = datetime.fromisoformat(body[name]) if body[name] else None
        return Pinned(**body)

    @property
    def mapped(self) -> list[str]:
        """Local columns that the mapping fills."""
        return [line.target for line in self.lines]

    @property
    def sources(self) -> list[str]:
        """Provider fields that the mapping reads."""
        return list(dict.fromkeys(line.source for line in self.lines))
