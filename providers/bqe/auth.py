"""BQE CORE's identity server: authorization code with PKCE, one-time refresh tokens.

The token answer names the company's API base (`endpoint`), which is used only on pinned hosts, and
its id token names the company (`companyId`): all of it is declared in provider.json.
"""

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
    """The client; BQE_AUTH_BASE_URL, BQE_SCOPES and BQE_ALLOWED_HOSTS override the metadata."""
    return StandardAuth(
        provider,
        poster=poster,
        client_id=client_id,
        client_secret=client_secret,
        environ=environ,
    )
