"""A Hub connection: one authorised tenant at a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Connection:
    """A row of integration_connection without any secret. Instants are aware UTC."""

    id: int
    provider_key: str
    key: str
    label: str
    environment: str
    company_id: str | None
    is_active: bool
    is_disabled: bool
    needs_reauth: bool
    reauth_reason: str | None
    auth_state: str
    degraded_since: datetime | None
    last_ok_at: datetime | None
    api_base_url: str | None
    connected_by: str | None
    token_version: int
    token_expires_at: datetime | None
    limits: dict[str, int] = field(default_factory=dict)
    filter_probes: dict[str, Any] = field(default_factory=dict)

    @property
    def conn_id(self) -> str:
        """Airflow's name for it; also the pool's name."""
        return f"hub_{self.provider_key}_{self.key}"

    def not_ready_because(self) -> str | None:
        """Why no run may use it now, as a clause; None when it is ready."""
        if self.is_disabled:
            return "it is disabled"
        if self.needs_reauth and self.reauth_reason == "grant_rejected":
            return "the provider rejected its grant"
        if not self.is_active:
            return "it was never connected"
        return None


@dataclass(frozen=True)
class ServedConnection:
    """What a task gets of a connection: a short-lived access token and where to use it.

    `state`: ready | refreshing (ask again in a second) | refused (`reason` and `hint` say why).
    """

    state: str
    provider_key: str
    connection_key: str
    access_token: str = field(default="", repr=False)
    token_version: int = 0
    api_base_url: str = ""
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True)
class TokenGrant:
    """What an identity server answered, normalised. `expires_in_s` >= 60. Never logged."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in_s: int
    api_base_url: str | None
    company_id: str | None
    scope: str
