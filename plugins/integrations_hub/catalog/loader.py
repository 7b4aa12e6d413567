"""Reads provider.json files: every error of every file at once, then metadata."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from integrations_hub.catalog.build import object_of, provider_of
from integrations_hub.catalog.checks import control_characters, semantic_problems
from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.overlay import SETTING, merged
from integrations_hub.catalog.problems import Problem, pointer_of, schema_problems, shown, walk
from integrations_hub.catalog.registry import Registry
from integrations_hub.catalog.rule_form import option_problems
from integrations_hub.catalog.sound import Sound
from integrations_hub.errors import MetadataInvalid

log = logging.getLogger(__name__)

FILE_NAME = "provider.json"
MAX_BYTES = 1_000_000

# Words that stand where a key stands in the bridge's paths (D1).
RESERVED_OBJECT_KEYS = frozenset({
    "audit", "callback", "capabilities", "catalog", "connect", "connections", "health", "healthz",
    "jobs", "mapping", "matching", "metrics", "providers", "resync", "revoke", "rules", "runs",
    "settings", "status", "test",
})  # fmt: skip
RESERVED_PROVIDER_KEYS = RESERVED_OBJECT_KEYS | {
    "api", "assets", "clients", "docs", "hub", "integrations", "openapi", "people", "projects",
    "sandbox", "static", "ui",
}  # fmt: skip


def load_folders(folders: Sequence[Path], overlay: Mapping[str, Any] | None = None) -> Registry:
    """The registry of <folder>/<key>/provider.json; MetadataInvalid lists the errors of all files.

    `overlay`: an operator's merge patch by provider key; what comes out is validated as a whole.
    """
    patches = overlay or {}
    files = sorted(path for folder in folders for path in folder.glob(f"*/{FILE_NAME}"))
    if not files:
        raise MetadataInvalid(
            f"No provider was found: {', '.join(map(str, folders))} holds no <key>/{FILE_NAME}.",
            hint="Install the package with its providers folder.",
            code="NO_PROVIDERS",
        )
    results = [_attempt(path, patches.get(path.parent.name)) for path in files]
    messages = [result.message for result in results if isinstance(result, MetadataInvalid)]
    known = [path.parent.name for path in files]
    messages += [
        f"{SETTING} names the provider {key!r}; known: {', '.join(known)}."
        for key in patches
        if key not in known
    ]
    if messages:
        raise MetadataInvalid("\n".join(messages))
    return Registry([result for result in results if isinstance(result, Provider)])


def load_provider(path: Path, patch: Mapping[str, Any] | None = None) -> Provider:
    """The metadata of one file, patched. Unknown members stay in `raw` and are logged once.

    The folder is named like the provider's key. Raises MetadataInvalid with one line per error:
    file, JSON pointer, what was expected, what was found.
    """
    raw = _read(path)
    schema = _schema()
    repeated = list(_repeated(raw))
    raw = raw if patch is None else merged(raw, patch)
    found = [*control_characters(raw), *repeated, *schema_problems(schema, raw)]
    found += _key_problems(raw, path)
    if isinstance(raw, dict):
        found += semantic_problems(raw, found)
        found += _rule_default_problems(raw, found)
    if found:
        raise _invalid(path, found, patched=patch is not None)
    unknown = sorted(_unknown_members(schema, schema, raw, ()))
    if unknown:
        log.info("provider_members_ignored file=%s pointers=%s", _short(path), ",".join(unknown))
    return provider_of(_plain(raw))


def _attempt(path: Path, patch: Mapping[str, Any] | None) -> Provider | MetadataInvalid:
    try:
        return load_provider(path, patch)
    except MetadataInvalid as error:
        return error


class _Object(dict[str, Any]):
    """A JSON object that remembers members written twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    names = [name for name, _ in pairs]
    made.repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
    return made


def _read(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MetadataInvalid(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise MetadataInvalid(f"{path} has {len(content)} bytes; expected at most {MAX_BYTES}.")
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise MetadataInvalid(
            f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise MetadataInvalid(f"{path} is not JSON in UTF-8: {reason}.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _schema() -> dict[str, Any]:
    text = Path(__file__).with_name("provider.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _repeated(raw: Any) -> Iterator[Problem]:
    for path, value in walk(raw):
        for name in value.repeated if isinstance(value, _Object) else ():
            yield Problem(pointer_of((*path, name)), "each member once", "the same name twice")


def _key_problems(raw: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(raw, dict):
        return
    key, folder = raw.get("key"), path.resolve().parent.name
    if isinstance(key, str):
        if key in RESERVED_PROVIDER_KEYS:
            yield Problem("/key", "a key that is no reserved word of the Hub's paths", shown(key))
        if key != folder:
            yield Problem("/key", f"{shown(folder)}, the name of its folder", shown(key))
    objects = raw.get("objects")
    for name in objects if isinstance(objects, dict) else ():
        if name in RESERVED_OBJECT_KEYS:
            expected = "an object key that is no reserved word of the Hub's paths"
            yield Problem(pointer_of(("objects", name)), expected, shown(name))


def _rule_default_problems(raw: Mapping[str, Any], found: Sequence[Problem]) -> Iterator[Problem]:
    """`ruleDefaults` of every object that is sound otherwise."""
    sound = Sound(raw, [problem.pointer for problem in found])
    for key in sound.get("objects", partly=True) or ():
        item = sound.get("objects", key)
        if item is not None:
            yield from option_problems(
                object_of(key, item), sound.pointer("objects", key, "ruleDefaults")
            )


def _invalid(path: Path, found: Sequence[Problem], *, patched: bool) -> MetadataInvalid:
    unique = sorted(set(found), key=lambda problem: (problem.pointer, problem.expected))
    count = f"{len(unique)} error{'s' if len(unique) > 1 else ''}"
    lines = [f"{_short(path)}#{p.pointer or '/'}: {p.text}" for p in unique]
    name = f"{path} with {SETTING}" if patched else str(path)
    return MetadataInvalid("\n  ".join([f"{name} has {count}:", *lines]))


def _short(path: Path) -> str:
    return f"{path.resolve().parent.name}/{path.name}"


def _unknown_members(
    root: Mapping[str, Any], schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...]
) -> Iterator[str]:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_members(root, schema.get("items", {}), item, (*path, index))
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for name, member in value.items():
            if name in known or others is not None:
                yield from _unknown_members(root, known.get(name, others), member, (*path, name))
            elif known:
                yield pointer_of((*path, name))


def _plain(value: Any) -> Any:
    """Ordinary dicts: what memory keeps is what the file says."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
