"""An incremental or window listing: keyset by stamp, always page 1 from the last stamp read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from integrations_hub.domain.listing import ListQuery
from integrations_hub.domain.stamps import floor_to
from integrations_hub.errors import ListingIncomplete, PagingLoop
from integrations_hub.ports.sync import StagedRecord
from integrations_hub.sync.reading import Reading

_EARLIEST = datetime(1970, 1, 1)
Seen = set[tuple[str | None, datetime]]


class StampListing:
    """Ascending by stamp: rows that change while we read move to the end and are read there.

    Page numbers count requests, not places in the provider's list; `from` is the stamp asked from
    and `page` the provider's page, above 1 only while one whole page carries one stamp. A short page
    ends the list only when as many records came as were counted: it may be a cut or a capped one.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._listing = reading.listing
        self._from = _stamp(self._listing.get("from")) or reading.query.since or _EARLIEST
        self._page = int(self._listing.get("page", 1))

    def read(self) -> None:
        """Stage every page from `since` on. Raises ListingIncomplete when fewer came than there are."""
        reading = self._reading
        if "count_before" not in self._listing:
            self._listing["count_before"] = reading.client.count(reading.query)
            reading.note()
        seen = reading.stage.store.staged_since(reading.stage.run.id, self._from)
        while not self._listing.get("done"):
            seen = self._step(seen)
        if self._staged() < self._listing["count_before"]:
            self._count_again()

    def _step(self, seen: Seen) -> Seen:
        reading = self._reading
        page = reading.client.page(self._query(), self._page, reading.page_size)
        if page.provider_now is not None:
            self._listing.setdefault("provider_started", page.provider_now.isoformat())
            self._listing["provider_now"] = page.provider_now.isoformat()
        number = int(self._listing.get("next_page", 1))
        records = reading.staged(page.body)
        fresh = [r for r in records if not _known(r, seen)]
        if len(records) >= reading.page_size and not fresh and self._page > 1:
            raise PagingLoop(
                f"Page {self._page} from {self._from} holds nothing that was not read before."
            )
        self._listing["rows"] = int(self._listing.get("rows", 0)) + len(fresh)
        self._advance(records, bool(fresh))
        reading.save(number, page.body, fresh)
        seen |= {(r.external_id, r.updated_at) for r in fresh if r.updated_at is not None}
        return {known for known in seen if known[1] >= self._from}

    def _query(self) -> ListQuery:
        return replace(self._reading.query, since=self._from)

    def _advance(self, records: list[StagedRecord], any_fresh: bool) -> None:
        """Move on to the last stamp read; within one stamp, to the next page."""
        stamps = [r.updated_at for r in records if r.updated_at is not None]
        last = floor_to(max(stamps), self._reading.precision_s) if stamps else self._from
        if self._ends(records, any_fresh):
            self._listing["done"] = True
        elif last > self._from:
            self._from, self._page = last, 1
        else:
            self._page += 1
        self._listing.update({"from": self._from.isoformat(), "page": self._page})

    def _ends(self, records: list[StagedRecord], any_fresh: bool) -> bool:
        if len(records) >= self._reading.page_size:
            return False
        return not any_fresh or self._listing["rows"] >= self._listing["count_before"]

    def _count_again(self) -> None:
        """Fewer than counted: some were deleted meanwhile, or the provider keeps some back."""
        left = self._reading.client.count(self._reading.query)
        if self._staged() < left:
            raise ListingIncomplete(
                f"The list of changes holds {left} records, but only {self._staged()} were given."
            )

    def _staged(self) -> int:
        """Distinct records; one that changed while we read is staged twice."""
        reading = self._reading
        return reading.stage.store.staged_summary(reading.stage.run.id, datetime.max)[1]


def _known(record: StagedRecord, seen: Seen) -> bool:
    """The same record with another stamp is a newer version, and is staged."""
    return record.updated_at is not None and (record.external_id, record.updated_at) in seen


def _stamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
