"""One listing under way: the page that fetch saves, one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from integrations_hub.domain.listing import ListQuery
from integrations_hub.failpoints import hit
from integrations_hub.ports.outside import HttpClient
from integrations_hub.ports.provider import ObjectClient
from integrations_hub.ports.sync import StagedRecord
from integrations_hub.sync.pace import Pace
from integrations_hub.sync.stage import Stage


@dataclass(frozen=True)
class Reading:
    """One listing under way: what both kinds of listing need to read and save pages."""

    stage: Stage
    client: ObjectClient
    http: HttpClient
    query: ListQuery
    page_size: int
    pages_ahead: int
    precision_s: int
    decode: Callable[[bytes], list[Any]]
    listing: dict[str, Any]
    pace: Pace

    def staged(self, body: bytes) -> list[StagedRecord]:
        """Decode one page."""
        found = self.decode(body)
        if not found:
            return []
        idents, parents, stamps, problems = zip(*found, strict=True)
        flags = map(_flag, parents, problems)
        return list(map(_made, zip(count(), idents, parents, stamps, flags, strict=False)))

    def save(self, page_no: int, body: bytes, records: list[StagedRecord]) -> None:
        """One page, one transaction: fence, body, staged records, page ledger, progress.

        Raises TransientError (TIME_LIMIT) after a page that came too late; the page itself is kept.
        """
        hit("fetched")
        self.pace.turn()
        children = sum(record.parent_id is not None for record in records)
        digest = hashlib.sha256(body).hexdigest()[:32]
        self.listing["next_page"] = page_no + 1
        with self.stage.write() as tx:
            hit("fence_checked")
            tx.save_page(page_no, body, records, digest=digest, children=children)
            tx.save_listing(self.listing, requests=self.sent(), pages=1, records=len(records))
            hit("before_commit")
        hit("after_commit")
        self.stage.log("page_fetched", page=page_no, records=len(records), children=children)
        self.pace.check()

    def restart(self) -> None:
        """Forget what is staged; the listing begins again."""
        with self.stage.write() as tx:
            tx.clear_staging()
            tx.save_listing(self.listing, requests=self.sent())

    def note(self) -> None:
        """Save the progress without a page."""
        with self.stage.write() as tx:
            tx.save_listing(self.listing, requests=self.sent())

    def sent(self) -> int:
        """Requests of this run so far, those of earlier tries included."""
        return int(self.listing.get("requests_before", 0)) + self.http.requests


_made = partial(tuple.__new__, StagedRecord)  # without the keyword handling of a call


def digest_of(pages: list[tuple[int, int, str]]) -> str:
    """One digest over the page ledger."""
    text = "\n".join(f"{number}:{n}:{digest}" for number, n, digest in pages)
    return hashlib.sha256(text.encode()).hexdigest()


def _flag(parent_id: str | None, problem: str | None) -> str | None:
    """Only top-level records are mapped, so that a child's problem is nobody's."""
    if parent_id is not None:
        return "child"
    return f"malformed: {problem}" if problem else None
