"""What staging knows of the records of one page, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress


@dataclass(frozen=True)
class StagedPage:
    """Entry i of every column is one record; columns, because a listing has a hundred thousand of them.

    `places`: index in the page's array. `parent_ids`: None for a top-level record, whatever the
    provider uses for "no parent". `stamps`: naive UTC, None also when the provider sent none.
    `problems`: why a record cannot be used; None in place of the column when all can.
    """

    places: Sequence[int]
    external_ids: Sequence[str | None]
    parent_ids: Sequence[str | None]
    stamps: Sequence[datetime | None]
    problems: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def children(self) -> int:
        """Records with a parent."""
        return len(self.parent_ids) - self.parent_ids.count(None)

    def only(self, keep: Sequence[bool]) -> StagedPage:
        """The records whose entry in `keep` is true."""
        return StagedPage(
            list(compress(self.places, keep)),
            list(compress(self.external_ids, keep)),
            list(compress(self.parent_ids, keep)),
            list(compress(self.stamps, keep)),
            None if self.problems is None else list(compress(self.problems, keep)),
        )
