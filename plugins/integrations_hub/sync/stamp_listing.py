"""An incremental or window listing: keyset by stamp, always from the last stamp read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from integrations_hub.domain.staged_page import StagedPage
from integrations_hub.domain.stamps import floor_to
from integrations_hub.errors import ListingIncomplete, PagingLoop
from integrations_hub.ports.sync import Staged
from integrations_hub.sync.reading import Reading

_EARLIEST = datetime(1970, 1, 1)
Version = tuple[str | None, datetime | None]
Seen = set[tuple[str | None, datetime]]


@dataclass(frozen=True)
class _Place:
    """The next request: `page` of `size` records from `since` on, which must begin with the `anchor`."""

    since: datetime
    page: int
    size: int
    anchor: Version | None = None

    @staticmethod
    def of(told: Mapping[str, Any]) -> _Place:
        """Where the last try stopped."""
        anchor = told["anchor"] and (told["anchor"][0], _stamp(told["anchor"][1]))
        return _Place(datetime.fromisoformat(told["since"]), told["page"], told["size"], anchor)

    def told(self) -> dict[str, Any]:
        """For the run row."""
        anchor = self.anchor and (self.anchor[0], self.anchor[1] and self.anchor[1].isoformat())
        return {
            "since": self.since.isoformat(),
            "page": self.page,
            "size": self.size,
            "anchor": anchor,
        }


class StampListing:
    """Ascending by stamp: rows that change while we read move to the end and are read there.

    The next page is asked for from the last stamp read. Its records of that stamp are known already;
    when they are more than half a page, page 2 is asked for in a size that makes the last known record
    (the anchor) its first: if another one comes, the list moved, and page 1 is read after all. Page
    numbers in staging count requests, not places in the provider's list.

    A short page ends the list only when as many records came as were counted: it may be a cut or a
    capped one. So does a full first page that holds exactly what was counted.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._listing = reading.listing
        self._place = (
            _Place.of(self._listing["place"])
            if "place" in self._listing
            else _Place(reading.query.since or _EARLIEST, 1, reading.page_size)
        )

    def read(self) -> Staged:
        """Stage every page from `since` on. Raises ListingIncomplete when fewer came than there are."""
        reading = self._reading
        if "count_before" not in self._listing:
            self._listing["count_before"] = reading.client.count(reading.query)
        seen = reading.stage.store.staged_since(reading.stage.run.id, self._place.since)
        while not self._listing.get("done"):
            seen = self._step(seen)
        staged = reading.summary()
        if staged.distinct < self._listing["count_before"]:
            self._count_again(staged.distinct)
        return staged

    def _step(self, seen: Seen) -> Seen:
        reading, place = self._reading, self._place
        query = replace(reading.query, since=place.since)
        page = reading.client.page(query, place.page, place.size)
        if page.provider_now is not None:
            self._listing.setdefault("provider_started", page.provider_now.isoformat())
            self._listing["provider_now"] = page.provider_now.isoformat()
        number = int(self._listing.get("next_page", 1))
        records = reading.decode(page.body)
        if place.anchor is not None and next(_versions(records), None) != place.anchor:
            self._place = _Place(place.since, 1, reading.page_size)
            return seen
        fresh = records.only([one not in seen for one in _versions(records)])
        if len(records) >= place.size and not fresh and place.page > 1:
            raise PagingLoop(
                f"Page {place.page} from {place.since} holds nothing that was not read before."
            )
        self._listing["rows"] = int(self._listing.get("rows", 0)) + len(fresh)
        if self._ends(number, records, bool(fresh)):
            self._listing["done"] = True
        else:
            self._place = self._next(records)
        self._listing["place"] = self._place.told()
        reading.save(number, page.body, fresh)
        seen |= {(key, stamp) for key, stamp in _versions(fresh) if stamp is not None}
        return {(key, stamp) for key, stamp in seen if stamp >= self._place.since}

    def _next(self, records: StagedPage) -> _Place:
        """From the last stamp read; within one stamp, the next page."""
        place, size = self._place, self._reading.page_size
        stamps = [stamp for stamp in records.stamps if stamp is not None]
        last = floor_to(max(stamps), self._reading.precision_s) if stamps else place.since
        if last <= place.since:
            return _Place(place.since, place.page + 1, place.size)
        known = sum(stamp >= last for stamp in stamps)
        if len(records) >= place.size and known > max(size // 2, 2):
            return _Place(last, 2, known - 1, list(_versions(records))[-1])
        return _Place(last, 1, size)

    def _ends(self, number: int, records: StagedPage, any_fresh: bool) -> bool:
        rows, counted = self._listing["rows"], self._listing["count_before"]
        if len(records) >= self._place.size:
            return bool(number == 1 and rows == counted)
        return not any_fresh or rows >= counted

    def _count_again(self, read: int) -> None:
        """Fewer than counted: some were deleted meanwhile, or the provider keeps some back."""
        left = self._reading.client.count(self._reading.query)
        if read < left:
            raise ListingIncomplete(
                f"The list of changes holds {left} records, but only {read} were given."
            )


def _versions(records: StagedPage) -> zip[Version]:
    """The same record with another stamp is a newer version, and is staged."""
    return zip(records.external_ids, records.stamps, strict=True)


def _stamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
