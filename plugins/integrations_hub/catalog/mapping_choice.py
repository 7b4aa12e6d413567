"""The mapping that plan pins: somebody's own, or the default of the metadata."""

from __future__ import annotations

from dataclasses import dataclass

from integrations_hub.catalog import mapping_form
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.saved_mapping import SavedMapping
from integrations_hub.domain.field_map import FieldMap
from integrations_hub.ports.records import SettingStore


@dataclass(frozen=True)
class ChosenMapping:
    """`left_out`: local columns that a stale mapping, used in part, does not fill."""

    version: int
    lines: tuple[FieldMap, ...]
    left_out: tuple[str, ...] = ()


def choose_mapping(
    settings: SettingStore, connection_id: int, obj: ObjectMeta, *, partial: bool
) -> ChosenMapping:
    """The mapping of a connection's object.

    Raises MappingStale when it is out of date, unless `partial` allows its sound lines.
    """
    setting = settings.get(connection_id, obj.key)
    saved = SavedMapping.of(obj, setting.settings) if setting else None
    if saved is None:
        default = mapping_form.default_lines(obj)
        lines = tuple(mapping_form.field_map(obj, line) for line in default)
        return ChosenMapping(obj.mapping.version, lines)
    lines, left_out = saved.for_run(obj, partial=partial)
    return ChosenMapping(saved.version, lines, left_out)
