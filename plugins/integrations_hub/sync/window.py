"""What a run reads: everything, the changes since the mark, or one interval (rules 5 and 8 of a run)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.domain.resync import OpenResync
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import MODES, RunRequest
from integrations_hub.domain.stamps import floor_to, parse_instant
from integrations_hub.errors import ConfigurationError, RunRefused

_DAY_S = 86_400.0
_SWEEP_EVERY_DAYS = 7


@dataclass(frozen=True)
class Window:
    """As the members of Pinned with these names. `due`: a sweep that nobody asked for."""

    listing: str
    since: datetime | None = None
    until: datetime | None = None
    due: bool = False


@dataclass(frozen=True)
class WindowChoice:
    """`state`: the row of integration_state, None before the first run or seed."""

    rule: Rule
    obj: ObjectMeta
    state: dict[str, Any] | None
    resync: OpenResync | None

    def of(self, request: RunRequest) -> Window:
        """The run's window.

        Raises ConfigurationError for a mode or window that cannot be, and RunRefused when only a
        resync may read.
        """
        mode = str(request.params.get("mode") or "scheduled")
        if mode not in MODES:
            raise ConfigurationError(
                f"The run's mode is '{mode}'; expected one of {', '.join(MODES)}.",
                hint="Trigger the Dag again with one of these modes.",
                code="MODE_UNKNOWN",
            )
        if request.trigger == "backfill" or mode == "window":
            return self._closed(request)
        if mode == "remap":
            return Window("kept")
        if mode == "resync":
            return self._closed(request) if request.since else self._unread()
        if mode != "scheduled":
            return Window(mode)
        if self.state is not None and self.state["resync_required"]:
            raise RunRefused(
                f"{self.rule.lease_key} was restored from a backup and must be read again first.",
                hint="Open the Hub and start the resync of this object.",
                code="RESYNC_REQUIRED",
            )
        return self._scheduled(request)

    def only_since(self) -> datetime | None:
        """Records that are not linked and did not change since are none of a delta_only_* rule's."""
        first_run = self.rule.body.get("initialSyncMode")
        if first_run == "delta_only_after_date":
            return self._after_date()
        seed = self.state["seed"] if self.state else None
        if first_run == "delta_only_from_now" and seed is not None:
            return self._before(seed)
        return None

    def _scheduled(self, request: RunRequest) -> Window:
        state = self.state
        if self.rule.body.get("syncMode") == "full" or not self.obj.capabilities.delta:
            return Window("sweep", due=True) if self._due(request) else Window("full")
        if state is None or state["mark"] is None or state["generation"] < self.rule.generation:
            return self._first()
        if self._due(request):
            return Window("sweep", due=True)
        return Window("incremental", self._before(state["mark"]))

    def _first(self) -> Window:
        """A generation's first run never continues from the mark of the one before."""
        first_run = self.rule.body.get("initialSyncMode", "full_once")
        if first_run == "delta_only_after_date":
            return Window("incremental", self._after_date())
        if first_run == "delta_only_from_now":
            raise ConfigurationError(
                f"{self.rule.lease_key} reads from the moment it was enabled, but that was not noted.",
                hint="Disable the rule and enable it again.",
                code="SEED_MISSING",
            )
        return Window("full")

    def _due(self, request: RunRequest) -> bool:
        """A sweep that failed is tried again a day later, so that the changes are not kept waiting."""
        days, state = int(self.rule.body.get("sweepEveryDays", _SWEEP_EVERY_DAYS)), self.state
        if request.trigger != "scheduled" or days == 0 or state is None:
            return False
        age, tried = state["sweep_age_s"], state["sweep_tried_age_s"]
        return (
            state["generation"] == self.rule.generation
            and age is not None
            and age >= days * _DAY_S
            and (tried is None or tried >= _DAY_S)
        )

    def _unread(self) -> Window:
        """The rest of the oldest open request: its gap, then a sweep."""
        asked = self.resync
        if asked is None:
            raise ConfigurationError(
                f"No resync of {self.rule.lease_key} is open.",
                hint="Ask for a resync first, or use the mode full or window.",
                code="RESYNC_NOT_OPEN",
            )
        if asked.has_gap and asked.gap_since is not None and self.obj.capabilities.delta:
            since = floor_to(asked.gap_since, self.obj.cursor_precision_s)
            return Window("window", since, asked.gap_until)
        return Window("sweep")

    def _closed(self, request: RunRequest) -> Window:
        since, until = naive(request.since), naive(request.until)
        if since is None or (until is not None and until <= since):
            raise ConfigurationError(
                "A window run needs `since` before `until`.",
                hint="Give since (and until) as UTC instants, e.g. 2026-11-01T00:00:00Z.",
                code="WINDOW_INVALID",
            )
        if not self.obj.capabilities.delta:
            return Window("full")
        return Window("window", floor_to(since, self.obj.cursor_precision_s), until)

    def _after_date(self) -> datetime:
        instant = parse_instant(str(self.rule.body.get("initialSyncSince", "")))
        if instant is None:
            raise ConfigurationError(
                f"{self.rule.lease_key} reads changes after a date, but names none.",
                hint="Set the rule's initialSyncSince.",
                code="INITIAL_SINCE_MISSING",
            )
        return floor_to(instant.replace(tzinfo=None), self.obj.cursor_precision_s)

    def _before(self, mark: datetime) -> datetime:
        """The overlap covers late commits and clocks that disagree."""
        overlap = timedelta(seconds=self.obj.overlap_s)
        return floor_to(mark - overlap, self.obj.cursor_precision_s)


def naive(instant: datetime | None) -> datetime | None:
    """Provider stamps are naive UTC."""
    if instant is None or instant.tzinfo is None:
        return instant
    return instant.astimezone(timezone.utc).replace(tzinfo=None)
