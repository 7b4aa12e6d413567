"""A mapping somebody saved, against the metadata as it is now: what changed, whether it is out of date (D12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from integrations_hub.catalog import mapping_form
from integrations_hub.catalog.mapping_form import Line
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.signature import field_signature
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.errors import MappingStale

SENTENCE = "Mappings out of date; review in Integrations Hub"


@dataclass(frozen=True)
class FieldChanges:
    """Fields that vanished and appeared since the mapping was saved; `changed`: (key, was, is)."""

    vanished: tuple[str, ...] = ()
    appeared: tuple[str, ...] = ()
    changed: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Dropped:
    """A line that cannot be used as it is, and why; it is kept, so that it can be repaired."""

    line: Line
    reason: str


@dataclass(frozen=True)
class SavedMapping:
    """`version` counts saves; `fields`: type by key at the time of the save; `dropped`: lines set aside."""

    version: int
    signature: str
    schema_version: int
    fields: Mapping[str, str]
    lines: tuple[Line, ...]
    dropped: tuple[Dropped, ...] = ()

    @staticmethod
    def of(obj: ObjectMeta, settings: Mapping[str, Any]) -> SavedMapping | None:
        """Read from the settings of a connection's object; None when the default mapping is used."""
        body = settings.get("mapping", {}).get(obj.key)
        if body is None:
            return None
        return SavedMapping(
            version=body["version"],
            signature=body["fieldSignatureHash"],
            schema_version=body["mappingSchemaVersion"],
            fields=body["fields"],
            lines=tuple(body["lines"]),
            dropped=tuple(Dropped(d["line"], d["reason"]) for d in body["dropped"]),
        )

    @staticmethod
    def made(obj: ObjectMeta, lines: Sequence[Line], before: SavedMapping | None) -> SavedMapping:
        """The next version, judged against today's metadata; what no line fills any more is set aside."""
        filled = {line["target"] for line in lines}
        aside: list[Dropped] = []
        if before is not None:
            stale = [d for d in before.unusable(obj) if d.line["target"] not in filled]
            known = [d for d in before.dropped if d.line["target"] not in filled]
            aside = [*stale, *(d for d in known if d not in stale)]
        return SavedMapping(
            version=before.version + 1 if before else 1,
            signature=field_signature(obj),
            schema_version=obj.mapping.version,
            fields={field.key: field.type for field in obj.fields.values()},
            lines=tuple(lines),
            dropped=tuple(aside),
        )

    def as_json(self) -> dict[str, Any]:
        """For the settings."""
        return {
            "version": self.version,
            "fieldSignatureHash": self.signature,
            "mappingSchemaVersion": self.schema_version,
            "fields": dict(self.fields),
            "lines": list(self.lines),
            "dropped": [{"line": d.line, "reason": d.reason} for d in self.dropped],
        }

    def changes(self, obj: ObjectMeta) -> FieldChanges:
        """The fields then and now; a field that may no longer be requested has vanished."""
        now = {key: obj.fields[key].type for key in mapping_form.mappable_fields(obj)}
        gone = (key for key in self.fields if key not in now)
        was = {key: kind for key, kind in self.fields.items() if key in now}
        read = {name for line in self.lines for name in mapping_form.reads(line)}
        return FieldChanges(
            vanished=tuple(key for key in gone if key not in obj.fields or key in read),
            appeared=tuple(key for key in now if key not in self.fields),
            changed=tuple((key, kind, now[key]) for key, kind in was.items() if now[key] != kind),
        )

    def stale_because(self, obj: ObjectMeta) -> str | None:
        """None while the mapping is up to date; labels and the order of fields don't count."""
        if self.schema_version != obj.mapping.version:
            return (
                f"the provider's mapping version is {obj.mapping.version}, "
                f"this mapping was saved for {self.schema_version}"
            )
        if self.signature == field_signature(obj):
            return None
        changes = self.changes(obj)
        parts = [f"{name} vanished" for name in changes.vanished]
        parts += [f"{name} is {now} instead of {was}" for name, was, now in changes.changed]
        parts += [f"{name} appeared" for name in changes.appeared]
        return ", ".join(parts) or "a field's rules changed"

    def unusable(self, obj: ObjectMeta) -> list[Dropped]:
        """Lines that cannot be used with today's metadata."""
        moved = {name: (was, now) for name, was, now in self.changes(obj).changed}
        found = []
        for line in self.lines:
            names = mapping_form.reads(line)
            gone = [name for name in names if name not in mapping_form.mappable_fields(obj)]
            other = [name for name in names if name in moved]
            if gone:
                found.append(Dropped(line, f"{', '.join(gone)} vanished"))
            elif other:
                was, now = moved[other[0]]
                found.append(Dropped(line, f"{other[0]} is {now} instead of {was}"))
            elif any(problem.pointer for problem in mapping_form.problems(obj, [line])):
                found.append(Dropped(line, "its column or codes are no longer known"))
        return found

    def for_run(
        self, obj: ObjectMeta, *, partial: bool
    ) -> tuple[tuple[FieldMap, ...], tuple[str, ...]]:
        """(lines, columns left out) that a run may use.

        Raises MappingStale when the mapping is out of date and may not be used in part, or when what
        is left could not make a local row.
        """
        reason = self.stale_because(obj)
        aside = self.unusable(obj) if reason else []
        if reason is not None and not partial:
            raise MappingStale(f"{SENTENCE}: {reason}.")
        sound = [line for line in self.lines if all(line is not d.line for d in aside)]
        missing = [p.expected for p in mapping_form.problems(obj, sound) if not p.pointer]
        if missing:
            raise MappingStale(f"{SENTENCE}: {reason}; what is left lacks {missing[0]}.")
        maps = tuple(mapping_form.field_map(obj, line) for line in sound)
        return maps, tuple(d.line["target"] for d in aside)

    def repair(self, obj: ObjectMeta) -> tuple[list[Line], list[Dropped]]:
        """Lines that could be saved today, and what had to be left out.

        A vanished field is replaced by one that appeared with a like name and the same type.
        """
        aside = self.unusable(obj)
        appeared = self.changes(obj).appeared
        lines, left = [], []
        for line in self.lines:
            broken = next((d for d in aside if d.line is line), None)
            mended = line if broken is None else self._mended(obj, line, appeared)
            if mended is None:
                left.append(broken or Dropped(line, ""))
            else:
                lines.append(mended)
        return lines, left

    def _mended(self, obj: ObjectMeta, line: Line, appeared: Sequence[str]) -> Line | None:
        source = line.get("source", "")
        candidates = [source] if source in mapping_form.mappable_fields(obj) else []
        same = [key for key in appeared if obj.fields[key].type == self.fields.get(source)]
        by_lower = {key.lower(): key for key in same}
        close = get_close_matches(source.lower(), list(by_lower), n=1, cutoff=0.5)
        candidates += [by_lower[name] for name in close]
        for name in candidates:
            mended = {**line, "source": name}
            if not any(problem.pointer for problem in mapping_form.problems(obj, [mended])):
                return mended
        return None
