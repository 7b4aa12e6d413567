"""Mappings and quarantine over the wire. The lines' own schema is the answer's `line_schema`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator

from bridge_api.models.storable import storable
from integrations_hub.admin.mappings import MappingDiff, MappingState, PreviewedLine
from integrations_hub.catalog.saved_mapping import Dropped
from integrations_hub.ports.quarantine import Quarantined


class MappingBody(BaseModel):
    """`lines` null = back to the metadata's default."""

    model_config = ConfigDict(extra="forbid")

    lines: list[JsonValue] | None

    _storable = field_validator("lines")(storable)


class PreviewBody(BaseModel):
    """`lines` null = the mapping in use; `record` null = the newest kept one (of `external_id`)."""

    model_config = ConfigDict(extra="forbid")

    lines: list[JsonValue] | None = None
    record: dict[str, JsonValue] | None = None
    external_id: str | None = None


class DroppedLine(BaseModel):
    """A line that cannot be used, and why; saved with the mapping, so that it can be repaired."""

    line: dict[str, Any]
    reason: str

    @classmethod
    def of(cls, dropped: Dropped) -> DroppedLine:
        """One line set aside."""
        return cls(line=dropped.line, reason=dropped.reason)


class MappingView(BaseModel):
    """`origin`: default (the metadata's) or saved. `stale`: why it is out of date, null while it fits.

    Its ETag is the revision of the settings, "0" before the first save.
    """

    origin: str
    version: int
    lines: list[dict[str, Any]]
    dropped: list[DroppedLine]
    stale: str | None
    line_schema: dict[str, Any]

    @classmethod
    def of(cls, state: MappingState, line_schema: dict[str, Any]) -> MappingView:
        """The mapping as it stands."""
        return cls(
            origin="saved" if state.saved else "default",
            version=state.version,
            lines=list(state.lines),
            dropped=[DroppedLine.of(d) for d in (state.saved.dropped if state.saved else ())],
            stale=state.stale,
            line_schema=line_schema,
        )


class ChangedField(BaseModel):
    """A field whose type is another one now."""

    field: str
    was: str
    now: str


class MappingDiffView(BaseModel):
    """Since the mapping was saved; `repaired` can be saved as it is, without what is `left_out`."""

    vanished: list[str]
    appeared: list[str]
    changed: list[ChangedField]
    unusable: list[DroppedLine]
    repaired: list[dict[str, Any]]
    left_out: list[DroppedLine]

    @classmethod
    def of(cls, diff: MappingDiff) -> MappingDiffView:
        """What happened and the way out."""
        return cls(
            vanished=list(diff.changes.vanished),
            appeared=list(diff.changes.appeared),
            changed=[ChangedField(field=f, was=w, now=n) for f, w, n in diff.changes.changed],
            unusable=[DroppedLine.of(d) for d in diff.unusable],
            repaired=list(diff.repaired),
            left_out=[DroppedLine.of(d) for d in diff.left_out],
        )


class PreviewLine(BaseModel):
    """`before`: the provider's values by field; `after`: the column's text; `problem`: why not."""

    target: str
    before: dict[str, Any]
    after: str | None
    problem: str | None
    pointer: str | None


class Preview(BaseModel):
    """One record through every line."""

    lines: list[PreviewLine]

    @classmethod
    def of(cls, lines: list[PreviewedLine]) -> Preview:
        """Each line on the record."""
        return cls(lines=[PreviewLine(**vars(line)) for line in lines])


class QuarantinedRecord(BaseModel):
    """A record that waits: field and cause, never a value."""

    id: int
    external_id: str
    code: str
    reason: str
    pointer: str
    attempts: int
    run_id: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None


class QuarantinePage(BaseModel):
    """Newest first; `next_before` asks for the next page, null at the end."""

    records: list[QuarantinedRecord]
    next_before: int | None

    @classmethod
    def of(cls, found: list[Quarantined], limit: int) -> QuarantinePage:
        """One page."""
        records = [QuarantinedRecord(**vars(record)) for record in found]
        full = len(records) == limit
        return cls(records=records, next_before=records[-1].id if full else None)
