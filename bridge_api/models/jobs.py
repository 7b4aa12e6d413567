"""Jobs: the Hub's runs, by the name that the API has for them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from integrations_hub.admin.progress import Progress
from integrations_hub.admin.runs import Ask
from integrations_hub.domain.run import Mode, Run

JobState = Literal[
    "requested",
    "waiting",
    "running",
    "succeeded",
    "succeeded_with_rejects",
    "succeeded_partial_mapping",
    "planned",
    "needs_confirmation",
    "skipped",
    "incomplete",
    "failed",
    "lost",
    "cancelled",
]


ChangeAction = Literal[
    "create", "update", "link", "inactivate", "revive", "out_of_scope", "review", "skip"
]


class RunNow(BaseModel):
    """`since` (inclusive) and `until` (exclusive) belong to mode `window`, with a zone.

    `apply_run_id`: the run whose plan of changes is applied as it stands, without reading anything.
    """

    model_config = ConfigDict(extra="forbid")

    mode: Mode = "scheduled"
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    dry_run: bool = False
    apply_run_id: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None

    @model_validator(mode="after")
    def _a_plan_is_applied_as_it_stands(self) -> RunNow:
        if self.apply_run_id is not None and (self.mode != "scheduled" or self.dry_run):
            raise ValueError("apply_run_id goes with mode scheduled and without dry_run")
        return self

    @model_validator(mode="after")
    def _a_window_has_ends(self) -> RunNow:
        if self.mode != "window":
            if self.since is not None or self.until is not None:
                raise ValueError("since and until belong to mode window")
            return self
        if self.since is None:
            raise ValueError("mode window needs since")
        if self.since > datetime.now(timezone.utc):
            raise ValueError("since lies in the future")
        if self.until is not None and self.until <= self.since:
            raise ValueError("until must be after since")
        return self

    def ask(self) -> Ask:
        """In UTC."""
        return Ask(self.mode, _utc(self.since), _utc(self.until), self.dry_run, self.apply_run_id)


class Job(BaseModel):
    """`hwm_from` and `hwm_to`: the high-water mark (UTC) before and after; moved only by a good end."""

    id: int
    provider: str
    connection: str
    object: str
    state: str
    stage: str | None
    trigger: str
    requested_by: str | None
    dag_id: str
    dag_run_id: str
    retry_of: int | None
    rule_id: int | None
    rule_revision: int | None
    params: dict[str, Any]
    pages: int
    records: int
    children: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    review: int
    skipped: int
    requests: int
    warnings: list[str]
    hwm_from: datetime | None
    hwm_to: datetime | None
    error_code: str | None
    error_text: str | None
    error_hint: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stage_times: dict[str, datetime]

    @classmethod
    def of(cls, run: Run) -> Job:
        """The run without its inner bookkeeping."""
        return cls(
            provider=run.provider_key,
            connection=run.connection_key,
            object=run.object_key,
            hwm_from=_stamp(run.mark_from),
            hwm_to=_stamp(run.mark_to),
            **{name: getattr(run, name) for name in cls.model_fields if hasattr(run, name)},
        )


class JobPage(BaseModel):
    """Newest first. `next_before`: the `before` of the next page, null on the last one."""

    items: list[Job]
    next_before: int | None


class ProgressView(BaseModel):
    """How far reading is. `pages_expected` and `eta_s` (seconds): null while the end is not known."""

    pages_done: int
    pages_expected: int | None
    records: int
    requests: int
    eta_s: int | None
    requests_per_minute: int


class JobDetail(Job):
    """A job with its progress."""

    progress: ProgressView

    @classmethod
    def with_progress(cls, run: Run, progress: Progress) -> JobDetail:
        """One run."""
        return cls(**Job.of(run).model_dump(), progress=ProgressView(**asdict(progress)))


class FieldChange(BaseModel):
    """Values as text; null = empty, or no row."""

    before: str | None
    after: str | None


class ChangeView(BaseModel):
    """One record. `outcome`: null = as planned; else what was met when it was applied."""

    seq: int
    external_id: str
    local_id: int | None
    action: str
    reason: str | None
    outcome: str | None
    fields: dict[str, FieldChange]


class ChangePage(BaseModel):
    """By seq. `next_after`: the `after` of the next page, null on the last one."""

    items: list[ChangeView]
    next_after: int | None


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(timezone.utc) if instant else None


def _stamp(mark: datetime | None) -> datetime | None:
    """Marks are naive UTC by contract."""
    return mark.replace(tzinfo=timezone.utc) if mark else None
