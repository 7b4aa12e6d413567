"""The keys of stored secrets: which are in use, and bringing every secret under the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from integrations_hub.errors import SecretKeyDropped
from integrations_hub.ports.credentials import KeyRing, SealedRow, SecretStore

_BATCH = 100
_PASSES = 5  # a secret that somebody rewrites between our read and our write is met again


@dataclass(frozen=True)
class KeyReport:
    """`keys`: rows by the key that is written on them; `unreadable`: rows that no key of the ring opens."""

    key_id: str
    total: int = 0
    current: int = 0
    rotated: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the first key alone opens everything: the other keys may go."""
        return self.current == self.total

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"done": self.done, **asdict(self)}


@dataclass(frozen=True)
class Secrets:
    """Runs go on meanwhile: every row is replaced by compare-and-set, and both keys stay in the ring."""

    ring: KeyRing
    store: SecretStore

    def report(self) -> KeyReport:
        """Open every secret; changes nothing."""
        keys: Counter[str] = Counter()
        current, unreadable = 0, []
        for batch in self.store.batches(_BATCH):
            for row in batch:
                keys[row.sealed.key_id] += 1
                if self.ring.is_current(row.sealed):
                    current += 1
                elif not self.ring.can_open(row.sealed):
                    unreadable.append(row.name)
        return KeyReport(
            key_id=self.ring.key_id,
            total=keys.total(),
            current=current,
            keys=dict(sorted(keys.items())),
            unreadable=unreadable,
        )

    def refuse_dropped_keys(self) -> None:
        """Raise SecretKeyDropped, with the rows per key, when the ring lacks a key that is in use."""
        lost = Counter(
            row.sealed.key_id
            for batch in self.store.batches(_BATCH)
            for row in batch
            # a wrong label is tolerated, as everywhere
            if row.sealed.key_id not in self.ring.key_ids and not self.ring.can_open(row.sealed)
        )
        if lost:
            raise SecretKeyDropped(
                "INTEGRATIONS_SECRET_KEY lacks a key that stored secrets need: "
                + ", ".join(f"key {key_id} ({n} rows)" for key_id, n in sorted(lost.items()))
                + "."
            )

    def rotate(
        self, *, actor: str, progress: Callable[[int, int], None], batch: int = _BATCH
    ) -> KeyReport:
        """Seal everything anew with the first key. Repeatable: what is done already is left alone.

        `progress(rows looked at, rows in all)` after each batch. Rows that no key opens stay as they are.
        """
        total, rotated = self.report().total, 0
        for _ in range(_PASSES):
            changed, due = self._pass(actor, batch, lambda seen: progress(seen, max(seen, total)))
            rotated += changed
            if not due:
                break
        return replace(self.report(), rotated=rotated)

    def _pass(self, actor: str, batch: int, progress: Callable[[int], None]) -> tuple[int, int]:
        """Rows replaced, and rows that were to be: more when others wrote meanwhile."""
        changed = due = seen = 0
        for rows in self.store.batches(batch):
            todo = [(row, self.ring.rotate(row.sealed)) for row in rows if self._is_due(row)]
            due += len(todo)
            if todo:
                changed += self.store.replace(todo, actor=actor)
            seen += len(rows)
            progress(seen)
        return changed, due

    def forget_unreadable(self, *, actor: str) -> list[int]:
        """Drop what no key of the ring opens; ids of the connections that must reconnect."""
        lost = [
            row
            for batch in self.store.batches(_BATCH)
            for row in batch
            if not self.ring.can_open(row.sealed)
        ]
        return self.store.forget(lost, actor=actor) if lost else []

    def _is_due(self, row: SealedRow) -> bool:
        return not self.ring.is_current(row.sealed) and self.ring.can_open(row.sealed)
