"""INTEGRATIONS_ENABLED: whether the Hub works at all."""

from __future__ import annotations

from collections.abc import Mapping


def is_enabled(environ: Mapping[str, str]) -> bool:
    """True unless the setting says otherwise (false, 0, no, off)."""
    said = environ.get("INTEGRATIONS_ENABLED", "true").strip().lower()
    return said not in ("false", "0", "no", "off")
