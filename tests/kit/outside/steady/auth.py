"""Steady's identity server needs nothing but what its metadata declares."""

from __future__ import annotations

from collections.abc import Mapping

from integrations_hub.catalog.metadata import Provider
from integrations_hub.ports.outside import FormPoster
from integrations_hub.ports.provider import AuthClient
from integrations_hub.transport.standard_auth import StandardAuth


def build(
    provider: Provider,
    *,
    poster: FormPoster,
    client_id: str,
    client_secret: str,
    environ: Mapping[str, str],
) -> AuthClient:
    """The client of the metadata."""
    return StandardAuth(
        provider,
        poster=poster,
        client_id=client_id,
        client_secret=client_secret,
        environ=environ,
    )
