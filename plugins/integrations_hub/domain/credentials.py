"""Client credentials: what an app proves itself with when no person signs in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClientCredentials:
    """Id and secret of an app at a provider."""

    client_id: str
    client_secret: str = field(repr=False)

    def to_text(self) -> str:
        """What stands, sealed, where other connections have their refresh token."""
        return json.dumps([self.client_id, self.client_secret])

    @staticmethod
    def from_text(text: str) -> ClientCredentials:
        """The inverse of `to_text`."""
        client_id, client_secret = json.loads(text)
        return ClientCredentials(client_id, client_secret)
