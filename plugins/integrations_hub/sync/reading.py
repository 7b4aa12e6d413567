"""One listing under way: the page that fetch saves, one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from integrations_hub.domain.listing import ListQuery
from integrations_hub.domain.staged_page import StagedPage
from integrations_hub.failpoints import hit
from integrations_hub.ports.outside import HttpClient
from integrations_hub.ports.provider import ObjectClient
from integrations_hub.ports.sync import Staged
from integrations_hub.sync.pace import Pace
from integrations_hub.sync.stage import Stage

_FUTURE = timedelta(minutes=5)


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
    decode: Callable[[bytes], StagedPage]
    listing: dict[str, Any]
    pace: Pace

    def save(self, page_no: int, body: bytes, records: StagedPage) -> None:
        """One page, one transaction: fence, body, staged records, page ledger, progress.

        Raises TransientError (TIME_LIMIT) after a page that came too late; the page itself is kept.
        """
        hit("fetched")
        self.pace.turn()
        digest = hashlib.sha256(body).hexdigest()[:32]
        self.listing["next_page"] = page_no + 1
        with self.stage.write() as tx:
            hit("fence_checked")
            tx.save_page(
                page_no, body, records, digest=digest, listing=self.listing, requests=self.sent()
            )
            hit("before_commit")
        hit("after_commit")
        self.stage.log(
            "page_fetched", page=page_no, records=len(records), children=records.children
        )
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

    def summary(self) -> Staged:
        """What is staged now; the newest stamp that the mark may move to.

        What changed while a full list was read is read again next time; a stamp from the future is
        applied but does not move the mark.
        """
        started, now = (
            _stamp(self.listing.get(name)) for name in ("provider_started", "provider_now")
        )
        limit = now + _FUTURE if now else datetime.max
        if not self.query.by_stamp and started is not None:
            limit = started
        return self.stage.store.staged(self.stage.run.id, limit)

    def sent(self) -> int:
        """Requests of this run so far, those of earlier tries included."""
        return int(self.listing.get("requests_before", 0)) + self.http.requests


def _stamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def digest_of(pages: list[tuple[int, int, str]]) -> str:
    """One digest over the page ledger."""
    text = "\n".join(f"{number}:{n}:{digest}" for number, n, digest in pages)
    return hashlib.sha256(text.encode()).hexdigest()
