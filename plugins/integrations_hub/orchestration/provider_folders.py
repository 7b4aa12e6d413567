"""The installed provider folders, read cheaply: no schema, no registry, no provider code."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def provider_names() -> dict[str, str]:
    """Display name by provider key, sorted; a folder whose provider.json can't be read keeps its key as name."""
    spec = find_spec("providers")
    folders = spec.submodule_search_locations if spec else None
    files = [path for folder in folders or [] for path in Path(folder).glob("*/provider.json")]
    return {path.parent.name: _display_name(path) for path in sorted(files)}


def hook_class_name(key: str) -> str:
    """The name of a provider's hook class in `orchestration.hook`, e.g. acme_crm: AcmeCrmHook."""
    return "".join(word.capitalize() for word in key.split("_")) + "Hook"


def split_conn_id(conn_id: str) -> tuple[str, str] | None:
    """(provider, connection) of `hub_<provider>_<connection>`, None for every other id."""
    if not conn_id.startswith("hub_"):
        return None
    rest = conn_id.removeprefix("hub_")
    # the longest key wins: a provider "crm_plus" must not be read as "crm"
    for key in sorted(provider_names(), key=len, reverse=True):
        connection = rest.removeprefix(f"{key}_")
        if connection and connection != rest:
            return key, connection
    return None


def _display_name(path: Path) -> str:
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return path.parent.name
    name = raw.get("displayName") if isinstance(raw, dict) else None
    return str(name or path.parent.name)
