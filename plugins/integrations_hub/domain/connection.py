"""A Hub connection: one authorised tenant at a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CLIENT_REJECTED = "CLIENT_REJECTED"
ROTATION_LOST = "ROTATION_LOST"
REQUEST_REFUSED = "TOKEN_REQUEST_REFUSED"  # an error answer: nothing was spent
LOCKED = "its tokens belong to another Hub: this database was copied or restored"
ADOPT = (
    "Adopt it when the other Hub is off for good (`hub connections adopt`), "
    "else connect it again with a sign-in of its own."
)


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
    token_life_s: int | None = None
    refresh_unknown_since: datetime | None = None
    auth_code: str | None = None
    auth_detail: str | None = None
    instance_id: str | None = None
    is_locked: bool = False
    flow: str = "authorization_code"  # or client_credentials: how it gets its tokens
    missing_scopes: list[str] = field(default_factory=list)
    disabled_at: datetime | None = None
    disconnected_at: datetime | None = None
    deleted_at: datetime | None = None
    secret_ref: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def conn_id(self) -> str:
        """Airflow's name for it; also the pool's name."""
        return f"hub_{self.provider_key}_{self.key}"

    @property
    def withdrawn(self) -> bool:
        """An admin took it out of use; the provider has nothing to do with it."""
        return (
            self.deleted_at is not None
            or self.is_disabled
            or (not self.is_active and self.disconnected_at is not None)
        )

    def not_ready_because(self) -> str | None:
        """Why no run may use it now, as a clause; None when it is ready."""
        if self.deleted_at is not None:
            return "it was deleted"
        if self.is_disabled:
            return "it is disabled"
        if self.is_locked:
            return LOCKED
        if self.needs_reauth and self.reauth_reason == "grant_rejected":
            return self.rejected_because()
        if not self.is_active:
            gone = self.disconnected_at is not None
            return "it was disconnected" if gone else "it was never connected"
        return None

    def rejected_because(self) -> str:
        """Which of the two was refused, or that a refresh broke off, as a clause."""
        if self.auth_code == ROTATION_LOST:
            return "a refresh was interrupted and the old sign-in no longer works"
        if self.auth_code == CLIENT_REJECTED:
            return "the provider rejected the app's client id or secret"
        return "the provider rejected its grant"

    def trouble(self) -> str | None:
        """What is wrong with its tokens and what comes next, as sentences; None when all is well."""
        if self.is_locked:
            return f"Locked: {LOCKED}. {ADOPT}"
        if self.needs_reauth and self.reauth_reason == "unreachable":
            since = _at(self.degraded_since)
            return f"Admin attention needed: no good answer from the identity server since {since}."
        if self.needs_reauth:
            return self.auth_detail or self.rejected_because()
        if self.refresh_unknown_since is not None:
            since = _at(self.refresh_unknown_since)
            return f"Refresh outcome unknown since {since}: the old token is tried once more."
        if self.auth_state == "degraded":
            return self.auth_detail or "The identity server gives no good answer."
        return None


def _at(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant else "an unknown time"


@dataclass(frozen=True)
class ServedConnection:
    """What a task gets of a connection: a short-lived access token and where to use it.

    `state`: ready | refreshing (ask again in a second) | refused (`reason` and `hint` say why;
    `code` is the error's code where it is not the usual AUTHORIZATION_NEEDED).
    """

    state: str
    provider_key: str
    connection_key: str
    access_token: str = field(default="", repr=False)
    token_version: int = 0
    api_base_url: str = ""
    reason: str = ""
    hint: str = ""
    code: str = ""


@dataclass(frozen=True)
class TokenGrant:
    """What an identity server answered, normalised. `expires_in_s` >= 60. Never logged.

    `missing_scopes`: asked for and not granted, as far as the answer says.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in_s: int
    api_base_url: str | None
    company_id: str | None
    scope: str
    missing_scopes: tuple[str, ...] = ()
