"""Renewal of a connection by client credentials: the stored credentials are what the broker spends."""

from __future__ import annotations

from collections.abc import Callable

from integrations_hub.domain.connection import TokenGrant
from integrations_hub.domain.credentials import ClientCredentials
from integrations_hub.ports.provider import AuthClient


class StoredCredentials:
    """Fulfils the renewal of ports.AuthClient; `client_for` builds the provider's own client."""

    def __init__(self, client_for: Callable[[ClientCredentials], AuthClient]) -> None:
        self._client_for = client_for

    def refresh(self, refresh_token: str) -> TokenGrant:
        """A new token for the same app; the answer carries no refresh token, so the old text stays."""
        return self._client_for(ClientCredentials.from_text(refresh_token)).client_credentials()

    def revoke(self, token: str) -> bool:  # noqa: ARG002 - the port's signature
        """An app's own token ends by itself; its credentials are withdrawn at the provider."""
        return False
