"""What an admin does with the mapping of a connection's object: see, judge, repair, try and save it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from integrations_hub.admin.connections import Connections
from integrations_hub.admin.rules import Actor
from integrations_hub.catalog import mapping_form
from integrations_hub.catalog.mapping_form import Line
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.records import elements, payload_decoder
from integrations_hub.catalog.registry import Registry
from integrations_hub.catalog.saved_mapping import SENTENCE, Dropped, FieldChanges, SavedMapping
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.local_entity import LOCAL_ENTITIES
from integrations_hub.domain.mapping import Mapper
from integrations_hub.errors import NotFound, RecordRejected
from integrations_hub.ports.records import Setting, SettingStore
from integrations_hub.ports.sync import KeptStore

_SETTINGS_VERSION = "1.0"


@dataclass(frozen=True)
class MappingState:
    """`revision` of the settings (0 = never saved); `saved` None = the metadata's default is used.

    `stale`: the sentence of a mapping that is out of date, None while it fits.
    """

    revision: int
    lines: tuple[Line, ...]
    saved: SavedMapping | None
    version: int
    stale: str | None


@dataclass(frozen=True)
class MappingDiff:
    """Fields then and now, the lines that cannot be used, and a mapping that could be saved instead."""

    changes: FieldChanges
    unusable: tuple[Dropped, ...]
    repaired: tuple[Line, ...]
    left_out: tuple[Dropped, ...]


@dataclass(frozen=True)
class PreviewedLine:
    """One line on one record: what was read, what the column gets, or why the record is refused."""

    target: str
    before: dict[str, Any]
    after: str | None
    problem: str | None
    pointer: str | None


@dataclass(frozen=True)
class Mappings:
    """Overrides live in the settings of a connection's object, one version after the other."""

    settings: SettingStore
    connections: Connections
    registry: Registry
    kept: KeptStore

    def get(self, provider_key: str, object_key: str, connection_key: str | None) -> MappingState:
        """The mapping that runs use."""
        obj, _, setting = self._read(provider_key, object_key, connection_key)
        return _state(obj, setting)

    def save(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        lines: Any,
        expected_revision: int | None,
        actor: Actor,
    ) -> MappingState:
        """Judge and keep the next version; `lines` None = back to the metadata's default.

        Raises MappingInvalid with all problems, ConflictingChange when somebody saved in between.
        """
        obj, connection, setting = self._read(provider_key, object_key, connection_key)
        mappings = dict(setting.settings.get("mapping", {})) if setting else {}
        mappings.pop(object_key, None)
        if lines is not None:
            before = SavedMapping.of(obj, setting.settings) if setting else None
            made = SavedMapping.made(obj, mapping_form.validate(obj, lines), before)
            mappings[object_key] = made.as_json()
        revision = setting.revision if setting else 0
        kept = self.settings.save(
            connection_id=connection.id,
            object_key=object_key,
            settings={**(setting.settings if setting else {}), "mapping": mappings},
            schema_version=_SETTINGS_VERSION,
            expected_revision=revision if expected_revision is None else expected_revision,
            actor=actor.name,
            request_id=actor.request_id,
        )
        return _state(obj, kept)

    def diff(self, provider_key: str, object_key: str, connection_key: str | None) -> MappingDiff:
        """What happened to the provider's fields since the mapping was saved, and a way out."""
        obj, _, setting = self._read(provider_key, object_key, connection_key)
        saved = SavedMapping.of(obj, setting.settings) if setting else None
        if saved is None:
            return MappingDiff(FieldChanges(), (), tuple(mapping_form.default_lines(obj)), ())
        repaired, left_out = saved.repair(obj)
        return MappingDiff(
            saved.changes(obj), tuple(saved.unusable(obj)), tuple(repaired), tuple(left_out)
        )

    def preview(
        self,
        provider_key: str,
        object_key: str,
        connection_key: str | None,
        *,
        lines: Any = None,
        record: dict[str, Any] | None = None,
        external_id: str | None = None,
    ) -> list[PreviewedLine]:
        """One record before and after; without `lines` by the mapping in use. Nothing is stored.

        The record is the one given, or the newest kept version of `external_id` (of any record
        without one). Raises MappingInvalid, NotFound when nothing is kept.
        """
        obj, connection, setting = self._read(provider_key, object_key, connection_key)
        used = _state(obj, setting).lines if lines is None else mapping_form.validate(obj, lines)
        if record is None:
            record = self._kept(obj, connection.id, external_id)
        return _previewed(obj, used, record)

    def _read(
        self, provider_key: str, object_key: str, connection_key: str | None
    ) -> tuple[ObjectMeta, Connection, Setting | None]:
        obj = self.registry.get_object_catalog(provider_key, object_key)
        connection = self.connections.pick(provider_key, connection_key)
        return obj, connection, self.settings.get(connection.id, object_key)

    def _kept(self, obj: ObjectMeta, connection_id: int, external_id: str | None) -> dict[str, Any]:
        found = self.kept.kept_record(connection_id, obj.key, external_id)
        if found is None:
            raise NotFound(
                "No such record is kept from an earlier run.",
                hint="Give a record, or run a full listing first.",
                code="NOTHING_KEPT",
            )
        _, body, index = found
        return payload_decoder(obj)(elements(body)[index])


def _state(obj: ObjectMeta, setting: Setting | None) -> MappingState:
    saved = SavedMapping.of(obj, setting.settings) if setting else None
    revision = setting.revision if setting else 0
    if saved is None:
        lines = tuple(mapping_form.default_lines(obj))
        return MappingState(revision, lines, None, obj.mapping.version, None)
    reason = saved.stale_because(obj)
    stale = f"{SENTENCE}: {reason}." if reason else None
    return MappingState(revision, saved.lines, saved, saved.version, stale)


def _previewed(
    obj: ObjectMeta, lines: Sequence[Line], record: dict[str, Any]
) -> list[PreviewedLine]:
    entity = LOCAL_ENTITIES[obj.local_entity]
    unusable = {
        id(line) for line in lines if not set(mapping_form.reads(line)) <= obj.fields.keys()
    }
    found = []
    for line in lines:
        before = {name: record.get(name) for name in mapping_form.reads(line)}
        if id(line) in unusable:
            found.append(PreviewedLine(line["target"], before, None, "its field vanished", ""))
            continue
        try:
            made = Mapper([mapping_form.field_map(obj, line)], entity).record(record)
        except RecordRejected as error:
            found.append(PreviewedLine(line["target"], before, None, error.message, error.pointer))
            continue
        after = made.values[entity.column_names.index(line["target"])]
        note = "the mapping does not know this value: the local one stays" if made.unknown else None
        found.append(PreviewedLine(line["target"], before, after, note, None))
    return found
