"""One staged page to rows of the session's mapped table; what cannot be mapped becomes a reject."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations_hub.catalog.columns import column_reader
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.records import elements, payload_decoder
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.domain.local_entity import LocalEntity
from integrations_hub.domain.mapping import Mapper
from integrations_hub.domain.record_filter import RecordFilter
from integrations_hub.errors import RecordRejected
from integrations_hub.ports.sync import MappablePage

Row = tuple[Any, ...]


@dataclass
class Outcome:
    """What one pass over the records found beside the mapped rows."""

    mapped: int = 0
    rejects: list[dict[str, str]] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)

    def warnings(self) -> list[str]:
        """One sentence per field with values that the mapping lacks."""
        return [
            f"{name}: {count} records hold a value that the mapping does not know; the local value stays."
            for name, count in sorted(self.unknown.items())
        ]

    def count_unknown(self, field_name: str, count: int) -> None:
        """Values of a field that the mapping lacks."""
        self.unknown[field_name] = self.unknown.get(field_name, 0) + count


class PageMapping:
    """The mapping of a run, compiled once. Not for two threads at once: it remembers values."""

    def __init__(
        self,
        obj: ObjectMeta,
        lines: Sequence[FieldMap],
        entity: LocalEntity,
        filters: Sequence[Mapping[str, Any]],
    ) -> None:
        self._mapper = Mapper(lines, entity)
        self._filter = RecordFilter(filters)
        read = dict.fromkeys([*self._mapper.sources, *self._filter.fields])
        self._columns = column_reader(obj, list(read))
        self._decode = payload_decoder(obj)
        self._unseen = {name: f'"{name}"'.encode() for name in self._mapper.sources}

    @property
    def unseen(self) -> list[str]:
        """Provider fields of the mapping that no page so far held, empty or not: they may be gone there."""
        return list(self._unseen)

    def rows(self, page: MappablePage, outcome: Outcome) -> Iterable[Row]:
        """(external_id, stamp, raw_status, *columns of the entity, wanted) of what could be mapped."""
        if not page.places and not page.malformed:
            return []
        for name in [name for name, member in self._unseen.items() if member in page.body]:
            del self._unseen[name]
        if page.malformed:
            raws = elements(page.body)
            for n, known_id, problem in page.malformed:
                unusable = RecordRejected(problem, pointer="", code="MALFORMED")
                outcome.rejects.append(_reject(known_id, raws[n], unusable))
        rows = self._at_once(page, outcome)
        return self._one_by_one(page, outcome) if rows is None else rows

    def _at_once(self, page: MappablePage, outcome: Outcome) -> Iterable[Row] | None:
        """None when one record of the page is odd; nothing is noted then."""
        fields = self._columns(page.body, page.places)
        if fields is None:
            return None
        try:
            mapped = self._mapper.page(fields, len(page.places))
        except RecordRejected:
            return None
        outcome.mapped += len(page.places)
        for name, count in mapped.unknown.items():
            outcome.count_unknown(name, count)
        wanted = self._filter.each(fields)
        return zip(
            page.external_ids, page.stamps, mapped.raw_status, *mapped.columns, wanted, strict=False
        )

    def _one_by_one(self, page: MappablePage, outcome: Outcome) -> Iterable[Row]:
        raws = elements(page.body)
        for n, external_id, stamp in zip(page.places, page.external_ids, page.stamps, strict=True):
            try:
                record = self._decode(raws[n])
                mapped = self._mapper.record(record)
            except RecordRejected as error:
                outcome.rejects.append(_reject(external_id, raws[n], error))
                continue
            outcome.mapped += 1
            for name in mapped.unknown:
                outcome.count_unknown(name, 1)
            yield (
                external_id,
                stamp,
                mapped.raw_status,
                *mapped.values,
                self._filter.takes(record),
            )


def _reject(external_id: str | None, raw: Any, error: RecordRejected) -> dict[str, str]:
    """A record without a usable id is named by the digest of what came."""
    return {
        "external_id": external_id or digest_name(bytes(raw)),
        "code": error.code,
        "reason": error.message,
        "pointer": error.pointer,
    }


def digest_name(raw: bytes) -> str:
    """The name of a record that has no usable id."""
    return f"digest:{hashlib.sha256(raw).hexdigest()[:16]}"
