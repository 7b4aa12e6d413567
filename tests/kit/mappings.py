"""Saved mappings for tests, as of today's metadata or of an earlier one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from psycopg.types.json import Jsonb

from integrations_hub import wiring
from integrations_hub.catalog import mapping_form
from integrations_hub.catalog.metadata import ObjectMeta
from integrations_hub.catalog.saved_mapping import SavedMapping
from integrations_hub.store.database import Database


def projects() -> ObjectMeta:
    """The object whose mapping is saved."""
    return wiring.registry().get_object_catalog("bqe", "projects")


def default_lines(**changed: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The default lines with some targets' lines replaced, added, or (None) left out."""
    lines = {line["target"]: line for line in mapping_form.default_lines(projects())}
    for target, line in changed.items():
        lines.pop(target, None)
        if line is not None:
            lines[target] = {"target": target, **line}
    return list(lines.values())


def earlier(
    *,
    without: Iterable[str] = (),
    extra: Iterable[str] = (),
    types: dict[str, str] | None = None,
    version: int | None = None,
) -> ObjectMeta:
    """The metadata as it was once: without some fields, with others, with other types."""
    obj = projects()
    fields = {key: field for key, field in obj.fields.items() if key not in set(without)}
    for key in extra:
        fields[key] = replace(obj.fields["name"], key=key, label=key)
    for key, kind in (types or {}).items():
        fields[key] = replace(fields[key], type=kind)
    mapping = replace(obj.mapping, version=version or obj.mapping.version)
    return replace(obj, fields=fields, mapping=mapping)


def save(
    database: Database, lines: list[dict[str, Any]], obj: ObjectMeta | None = None, version: int = 1
) -> None:
    """Keep the lines as the saved mapping of the only connection."""
    made = replace(SavedMapping.made(obj or projects(), lines, None), version=version)
    database.execute(
        "INSERT INTO hub.integration_setting (connection_id, object_key, settings, schema_version, updated_by) "
        "SELECT id, 'projects', %(settings)s, '1.0', 't' FROM hub.integration_connection "
        "ON CONFLICT (connection_id, object_key) DO UPDATE SET settings = excluded.settings, "
        "revision = hub.integration_setting.revision + 1",
        {"settings": Jsonb({"mapping": {"projects": made.as_json()}})},
    )
