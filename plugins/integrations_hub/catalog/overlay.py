"""What an operator changes in the metadata without touching a provider: a JSON merge patch (RFC 7396)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integrations_hub.errors import MetadataInvalid

SETTING = "HUB_METADATA_OVERLAY"


def read_overlay(path: str) -> dict[str, Any]:
    """{provider key: patch} of the file; empty without a path. Raises MetadataInvalid."""
    if not path:
        return {}
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MetadataInvalid(
            f"{SETTING}={path} cannot be read as JSON ({type(error).__name__}).",
            hint="Name a JSON file, or unset it.",
        ) from error
    patches = document if isinstance(document, dict) else {"": None}
    for key, patch in patches.items():
        if not isinstance(patch, dict) or "key" in patch:
            raise MetadataInvalid(
                f"{SETTING}={path}: expected an object of patches by provider key (a patch is an "
                f"object and cannot change the key itself), found something else at {key!r}.",
                hint='Write {"<provider key>": {"oauth": {...}}}.',
            )
    return patches


def merged(value: Any, patch: Any) -> Any:
    """`value` with the patch applied: null removes a member, lists are replaced."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), change)
    return result
