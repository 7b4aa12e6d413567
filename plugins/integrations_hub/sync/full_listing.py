"""A full listing: ordered by an immutable field, pages ahead, counted before and after."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from math import ceil
from typing import Any

from integrations_hub.domain.listing import ListQuery, RawPage
from integrations_hub.errors import ListingIncomplete, PagingLoop
from integrations_hub.ports.sync import Staged
from integrations_hub.sync.reading import Reading, digest_of

_ATTEMPTS = 3
_RENEW_S = 30.0


class FullListing:
    """Complete = the counts before and after both equal the distinct records staged."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._listing = reading.listing

    def read(self) -> Staged:
        """Stage every page. Raises ListingIncomplete when the list moved three times."""
        reading = self._reading
        while True:
            attempt = int(self._listing.setdefault("attempt", 1))
            if "count_before" not in self._listing:
                self._begin()
            self._read_pages()
            after = reading.client.count(reading.query)
            staged = reading.summary()
            before, rows, read = self._listing["count_before"], staged.records, staged.distinct
            if before == after == read or (before == after == rows and self._stands_still()):
                self._listing["repeated"] = rows - read
                reading.stage.log("listing_completed", attempt=attempt, records=read)
                return staged
            reading.stage.log("listing_moved", before=before, after=after, staged=read)
            if attempt == _ATTEMPTS:
                raise ListingIncomplete(
                    f"The list moved during {_ATTEMPTS} readings: {before} records before, {after} after, "
                    f"{read} read."
                )
            self._again(attempt + 1)

    def _stands_still(self) -> bool:
        """Read twice with the same pages: the list itself holds a record twice."""
        return bool(self._digest() == self._listing.get("digest_before"))

    def _digest(self) -> str:
        return digest_of(self._reading.stage.store.pages(self._reading.stage.run.id))

    def _begin(self) -> None:
        """Count first; the first answer's Date is the provider's clock at the start."""
        reading = self._reading
        if self._listing.pop("probe_filter", False):
            probe = reading.client.probe_parent_only()
            self._listing["probe"] = {
                "accepted": probe.accepted,
                "note": probe.note,
                "filtered_count": probe.filtered_count,
            }
        self._listing["count_before"] = reading.client.count(reading.query)
        self._listing["next_page"] = 1
        reading.note()

    def _again(self, attempt: int) -> None:
        names = ("requests_before", "probe", "parent_filter_used")
        kept: dict[str, Any] = {
            name: self._listing[name] for name in names if name in self._listing
        }
        kept["digest_before"] = self._digest()
        self._listing.clear()
        self._listing.update(kept, attempt=attempt)
        self._reading.restart()

    def _read_pages(self) -> None:
        """The first page alone tells the size that the provider really gives; the rest come ahead."""
        previous = b""
        for number, page in self._pages():
            if page.provider_now is not None:
                now = page.provider_now.isoformat()
                self._listing.setdefault("provider_started", now)
                self._listing["provider_now"] = now
            records = self._reading.decode(page.body)
            if not records:
                return
            if page.body == previous:
                raise PagingLoop(f"Page {number} repeats page {number - 1}.")
            previous = page.body
            if "page_rows" not in self._listing:
                self._note_page_rows(len(records))
            self._listing["rows"] = int(self._listing.get("rows", 0)) + len(records)
            self._reading.save(number, page.body, records)

    def _note_page_rows(self, rows: int) -> None:
        """A first page shorter than asked while more is counted shows the provider's own cap."""
        self._listing["page_rows"] = rows
        if rows < min(self._reading.page_size, self._listing["count_before"]):
            self._listing["page_cap"] = rows

    def _pages(self) -> Iterator[tuple[int, RawPage]]:
        """As many pages as were counted; more, one by one, while some came shorter than the first."""
        query, counted = self._reading.query, self._listing["count_before"]
        if int(self._listing.get("next_page", 1)) == 1 and counted:
            yield 1, self._page(query, 1)
        rows = int(self._listing.get("page_rows", 0))
        last = ceil(counted / rows) if rows else 0
        yield from self._ahead(query, int(self._listing["next_page"]), last)
        while rows and int(self._listing["rows"]) < counted:
            number = int(self._listing["next_page"])
            yield number, self._page(query, number)

    def _ahead(self, query: ListQuery, first: int, last: int) -> Iterator[tuple[int, RawPage]]:
        pages_ahead = self._reading.pages_ahead
        with ThreadPoolExecutor(pages_ahead, thread_name_prefix="page") as pool:
            ahead: deque[tuple[int, Future[RawPage]]] = deque()
            try:
                for number in range(first, last + 1):
                    ahead.append((number, pool.submit(self._page, query, number)))
                    if len(ahead) > pages_ahead:
                        yield self._await(*ahead.popleft())
                while ahead:
                    yield self._await(*ahead.popleft())
            finally:
                for _, future in ahead:
                    future.cancel()

    def _await(self, number: int, future: Future[RawPage]) -> tuple[int, RawPage]:
        """The page when it is there; until then this thread keeps the lease."""
        while True:
            try:
                return number, future.result(timeout=_RENEW_S)
            except NotYet:
                if future.done():
                    raise
                self._reading.stage.renew()

    def _page(self, query: ListQuery, number: int) -> RawPage:
        return self._reading.client.page(query, number, self._reading.page_size)
