"""fetch: pages through the provider into staging; a retry resumes after the last committed page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.records import page_decoder
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.listing import ListQuery
from integrations_hub.domain.run import Run
from integrations_hub.ports.connections import ConnectionStore
from integrations_hub.ports.outside import Clock, HttpClient
from integrations_hub.ports.provider import ObjectClient
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import Staged, SyncStore
from integrations_hub.sync.absence import Absence
from integrations_hub.sync.full_listing import FullListing
from integrations_hub.sync.kept import stage_due, stage_kept
from integrations_hub.sync.pace import Pace
from integrations_hub.sync.pinned import Pinned
from integrations_hub.sync.reading import Reading, digest_of
from integrations_hub.sync.stage import Stage, enter
from integrations_hub.sync.stamp_listing import StampListing

_MOST_AHEAD = 8  # each waits in memory
_SOFT_LIMIT_S = 5 * 3600.0  # Airflow ends the task itself after 6 h


@dataclass(frozen=True)
class Fetch:
    """`http_for(run, connection, heartbeat, only_thread)` opens the authorised client of the run's connection.

    `pages_ahead(connection)`: requests that it may have in flight.
    """

    store: SyncStore
    runs: RunStore
    connections: ConnectionStore
    registry: Registry
    http_for: Callable[[Run, Connection, Callable[[], None], bool], HttpClient]
    client_for: Callable[[ObjectMeta, str, HttpClient], ObjectClient]
    pages_ahead: Callable[[Connection], int]
    clock: Clock
    soft_limit_s: float = _SOFT_LIMIT_S
    page_size: int | None = None

    def run(self, run_id: int) -> dict[str, Any]:
        """Stage every record of the run's listing; returns pages, records and requests."""
        with enter(self.store, self.runs, run_id, "fetch") as stage:
            pinned = Pinned.of(stage.run)
            if pinned.stored:
                return {"pages": 0, "records": 0, "requests": 0}
            if stage.run.witness is not None:
                return _summary(stage.run.witness, stage.run.requests)
            if pinned.listing == "kept":
                return stage_kept(stage, pinned)
            reading = self._open(stage, pinned)
            staged = (StampListing if reading.query.by_stamp else FullListing)(reading).read()
            if pinned.listing == "sweep":
                Absence(reading).settle()
            if pinned.listing == "incremental" and stage_due(stage, pinned):
                staged = reading.summary()
            return self._witness(reading, staged)

    def _open(self, stage: Stage, pinned: Pinned) -> Reading:
        run = stage.run
        provider = self.registry.get_provider(run.provider_key)
        obj = provider.objects[run.object_key]
        connection = self.connections.by_id(run.connection_id)
        full = pinned.listing in ("full", "sweep")
        http = self.http_for(run, connection, _in_this_thread(stage.renew), not full)
        listing = self._resume(stage, run)
        probe = connection.filter_probes.get(obj.key, {})
        cap = int(probe.get("page_size") or provider.paging.max_size)
        # A filter never tried is probed by a full listing, and again by every sweep: these read
        # everything and so can prove it (D14).
        tried = bool(probe) and pinned.listing != "sweep"
        parent_only = obj.parent_only is not None and tried and bool(probe.get("verified"))
        listing["parent_filter_used"] = parent_only
        listing["probe_filter"] = full and obj.parent_only is not None and not tried
        return Reading(
            stage=stage,
            client=self.client_for(obj, provider.key, http),
            http=http,
            query=ListQuery(
                fields=_fields(obj, pinned),
                by_stamp=not full,
                since=pinned.since,
                until=pinned.until and pinned.until + timedelta(seconds=obj.cursor_precision_s),
                parent_only=parent_only,
            ),
            page_size=min(self.page_size or provider.paging.size, cap, provider.paging.max_size),
            pages_ahead=min(self.pages_ahead(connection), _MOST_AHEAD),
            precision_s=obj.cursor_precision_s,
            decode=page_decoder(obj),
            listing=listing,
            pace=Pace(self.clock, self.soft_limit_s),
        )

    def _resume(self, stage: Stage, run: Run) -> dict[str, Any]:
        """Where the last try stopped; from the start when PostgreSQL lost the staging meanwhile."""
        listing = dict(run.listing)
        listing["requests_before"] = run.requests
        pages = self.store.pages(run.id) if run.pages else []
        if len(pages) != run.pages or sum(page[1] for page in pages) != run.records:
            stage.log("staging_restarted", pages=len(pages), expected=run.pages)
            listing = {"requests_before": run.requests}
            with stage.write() as tx:
                tx.clear_staging()
        return listing

    def _witness(self, reading: Reading, staged: Staged) -> dict[str, Any]:
        pages = self.store.pages(reading.stage.run.id)
        witness = {
            "pages": len(pages),
            "records": staged.records,
            "distinct": staged.distinct,
            "digest": digest_of(pages),
        }
        with reading.stage.write() as tx:
            tx.save_witness(
                witness, staged.newest, listing=reading.listing, requests=reading.sent()
            )
        return _summary(witness, reading.sent())


def _in_this_thread(renew: Callable[[], None]) -> Callable[[], None]:
    """The stage's database session belongs to one thread; pages ahead leave the lease to it."""
    owner = threading.get_ident()
    return lambda: renew() if threading.get_ident() == owner else None


def _fields(obj: ObjectMeta, pinned: Pinned) -> tuple[str, ...]:
    """Identity, hierarchy, cursor and what mapping and filters read; nothing else leaves the provider."""
    identity = [field.key for field in obj.fields.values() if field.identity]
    hierarchy = [obj.hierarchy.parent_key] if obj.hierarchy else []
    return tuple(dict.fromkeys([*identity, *hierarchy, obj.cursor_field, *pinned.sources]))


def _summary(witness: dict[str, Any], requests: int) -> dict[str, Any]:
    return {"pages": witness["pages"], "records": witness["records"], "requests": requests}
