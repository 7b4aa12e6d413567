"""The state of a connection's object over the wire. Marks are the provider's stamps, shown in UTC."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, model_validator

from bridge_api.models.jobs import Job
from integrations_hub.admin.state import Preview, Seen
from integrations_hub.domain.resync import OpenResync
from integrations_hub.domain.run import Run

_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SKEW = timedelta(minutes=5)  # a provider's clock may be ahead of ours


def _past(instant: datetime) -> datetime:
    if not _EARLIEST <= instant <= datetime.now(timezone.utc) + _SKEW:
        raise ValueError("expected an instant from 1970 on that does not lie in the future")
    return instant.astimezone(timezone.utc)


Past = Annotated[AwareDatetime, AfterValidator(_past)]


class EditState(BaseModel):
    """`mark`: where the next run reads from (less the overlap); null = it is a first run again."""

    model_config = ConfigDict(extra="forbid")

    mark: Past | None

    def naive(self) -> datetime | None:
        """As stamps are kept."""
        return self.mark.replace(tzinfo=None) if self.mark else None


class ResyncRequest(BaseModel):
    """Either `since` (inclusive) or `full: true`."""

    model_config = ConfigDict(extra="forbid")

    since: Past | None = None
    full: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> ResyncRequest:
        if (self.since is not None) == self.full:
            raise ValueError("name either since or full: true")
        return self

    def utc(self) -> datetime | None:
        """None = everything."""
        return self.since


class OpenResyncView(BaseModel):
    """What of the oldest open request is unread: `gap_since` to `gap_until`; without a gap, its sweep."""

    id: int
    since: datetime | None
    until: datetime
    has_gap: bool
    gap_since: datetime | None
    gap_until: datetime | None

    @classmethod
    def of(cls, resync: OpenResync) -> OpenResyncView:
        """Of one request."""
        return cls(**{name: _utc_of(value) for name, value in asdict(resync).items()})


class StateView(BaseModel):
    """`mark` counts while `generation` is `rule_generation`; an older one begins with a first run.

    `revision` 0 and nulls: nothing was read yet. `proven_at`: when a listing last proved that
    nothing is missing, by run `proven_by`.
    """

    revision: int
    mark: datetime | None
    generation: int
    rule_generation: int
    seed: datetime | None
    seeded_by: str | None
    initial_done_at: datetime | None
    resync_required: bool
    last_sweep_at: datetime | None
    proven_at: datetime | None
    proven_by: int | None
    run_id: int | None
    updated_at: datetime | None
    resync: OpenResyncView | None

    @classmethod
    def of(cls, seen: Seen) -> StateView:
        """As it stands."""
        state = seen.state
        if state is None:
            known: dict[str, Any] = dict.fromkeys(cls.model_fields)
            known |= {"revision": 0, "resync_required": False}
        else:
            known = asdict(state) | {"mark": _utc(state.mark), "seed": _utc(state.seed)}
        known["generation"] = state.generation if state else seen.rule_generation
        known["rule_generation"] = seen.rule_generation
        known["resync"] = OpenResyncView.of(seen.resync) if seen.resync else None
        return cls(**known)


class ForecastView(BaseModel):
    """null = not known before a first complete listing. `minutes` at the connection's budget."""

    records: int | None
    requests: int | None
    minutes: float | None


class PreviewView(BaseModel):
    """What the next scheduled run would read, and what that means in words."""

    listing: Literal["full", "incremental"]
    since: datetime | None
    effect: Literal["unchanged", "read_again", "skipped", "first_run"]
    text: str
    forecast: ForecastView

    @classmethod
    def of(cls, preview: Preview) -> PreviewView:
        """Of one change."""
        return cls(**asdict(preview) | {"since": _utc(preview.since)})


class ResyncJobs(BaseModel):
    """The runs that read it, in order; a window before the sweep that completes it."""

    jobs: list[Job]

    @classmethod
    def of(cls, runs: list[Run]) -> ResyncJobs:
        """Of one request."""
        return cls(jobs=[Job.of(run) for run in runs])


def _utc(stamp: datetime | None) -> datetime | None:
    return stamp.replace(tzinfo=timezone.utc) if stamp else None


def _utc_of(value: Any) -> Any:
    return _utc(value) if isinstance(value, datetime) else value
