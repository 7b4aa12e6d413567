"""The `state` of an OAuth flow: what leaves for the provider in the open, signed."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from integrations_hub.ports.credentials import Signer

_VERSION = 1
_LABEL = b"oauth state\0"  # a signature over anything else never fits here
_LONGEST = 2000


@dataclass(frozen=True)
class OAuthState:
    """`expires_at` in Unix seconds; `nonce` names the row that one callback may spend."""

    nonce: str
    connection_id: int
    provider_key: str
    actor: str
    expires_at: int


@dataclass(frozen=True)
class StateSeal:
    """Writes and reads states; only what this Hub wrote is read."""

    signer: Signer

    def write(self, state: OAuthState) -> str:
        """`<base64url of canonical JSON>.<signature>`."""
        claims = {
            "v": _VERSION,
            "nonce": state.nonce,
            "connection": state.connection_id,
            "provider": state.provider_key,
            "actor": state.actor,
            "exp": state.expires_at,
        }
        text = json.dumps(claims, sort_keys=True, separators=(",", ":"))
        body = base64.urlsafe_b64encode(text.encode()).rstrip(b"=")
        return f"{body.decode()}.{self.signer.sign(_LABEL + body)}"

    def read(self, text: str) -> OAuthState | None:
        """None for what is forged or of another version; the caller looks at `expires_at`."""
        body, _, signature = text.partition(".")
        if len(text) > _LONGEST or not text.isascii() or not signature:
            return None
        if not self.signer.verify(_LABEL + body.encode(), signature):
            return None
        claims = _claims(body)
        if claims.get("v") != _VERSION:
            return None
        return OAuthState(
            nonce=claims["nonce"],
            connection_id=claims["connection"],
            provider_key=claims["provider"],
            actor=claims["actor"],
            expires_at=claims["exp"],
        )


def _claims(body: str) -> dict[str, Any]:
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return dict(claims) if isinstance(claims, dict) else {}
