"""The providers this installation knows, by key."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.errors import NotFound


class Registry:
    """Read-only; built by `catalog.loader.load_folders`."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = {provider.key: provider for provider in providers}

    def list_providers(self) -> list[Provider]:
        """Every provider, by key."""
        return [self._providers[key] for key in sorted(self._providers)]

    def get_provider(self, key: str) -> Provider:
        """Raises NotFound that names the known keys."""
        if key not in self._providers:
            raise _unknown("provider", key, self._providers, "")
        return self._providers[key]

    def get_object_catalog(self, provider_key: str, object_key: str) -> ObjectMeta:
        """Raises NotFound that names the known keys."""
        provider = self.get_provider(provider_key)
        if object_key not in provider.objects:
            raise _unknown("object", object_key, provider.objects, f" at {provider.display_name}")
        return provider.objects[object_key]


def _unknown(noun: str, key: str, known: Iterable[str], where: str) -> NotFound:
    names = sorted(known)
    close = get_close_matches(key, names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return NotFound(
        f"There is no {noun} {key[:100]!r}{where}; known: {', '.join(names) or 'none'}.{guess}",
        code=f"{noun.upper()}_UNKNOWN",
    )
