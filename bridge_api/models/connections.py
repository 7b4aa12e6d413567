"""Connections as admins see them; no token, code or key is ever part of these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from integrations_hub.admin.connections import status_of
from integrations_hub.domain.connection import Connection

_KEY = r"^[a-z0-9]+(_[a-z0-9]+)*$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"


class NewConnection(BaseModel):
    """`key` becomes part of names in Airflow and never changes."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=_KEY, max_length=40)]
    label: Annotated[str, Field(pattern=_PRINTABLE, max_length=120)]
    environment: Annotated[str, Field(pattern=_KEY, max_length=40)]


class ConnectionView(BaseModel):
    """`state`: new | connected | degraded | needs_reauth | disabled; `next_action`: what a person does."""

    key: str
    label: str
    provider: str
    environment: str
    conn_id: str
    company_id: str | None
    state: str
    reason: str | None
    since: datetime | None
    next_action: str | None
    auth_state: str
    is_active: bool
    is_disabled: bool
    needs_reauth: bool
    last_ok_at: datetime | None
    access_expires_at: datetime | None
    api_base_url: str | None
    connected_by: str | None
    flow: str
    missing_scopes: list[str]

    @classmethod
    def of(cls, connection: Connection) -> ConnectionView:
        """The row and its one word."""
        status = status_of(connection)
        return cls(
            key=connection.key,
            label=connection.label,
            provider=connection.provider_key,
            environment=connection.environment,
            conn_id=connection.conn_id,
            company_id=connection.company_id,
            state=status.state,
            reason=status.reason,
            since=status.since,
            next_action=status.next_action,
            auth_state=connection.auth_state,
            is_active=connection.is_active,
            is_disabled=connection.is_disabled,
            needs_reauth=connection.needs_reauth,
            last_ok_at=connection.last_ok_at,
            access_expires_at=connection.token_expires_at,
            api_base_url=connection.api_base_url,
            connected_by=connection.connected_by,
            flow=connection.flow,
            missing_scopes=connection.missing_scopes,
        )


class ConnectionList(BaseModel):
    """Every connection of the provider, by key."""

    items: list[ConnectionView]


class ConnectStart(BaseModel):
    """`confirm_company_change`: the sign-in may be another company's than before."""

    model_config = ConfigDict(extra="forbid")

    confirm_company_change: bool = False


class Credentials(BaseModel):
    """An app's own credentials; the secret is written only, no answer ever holds it."""

    model_config = ConfigDict(extra="forbid")

    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=4000)]
    company_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    confirm_company_change: bool = False


class ConnectStarted(BaseModel):
    """Send the browser there; it must keep the cookie of this answer."""

    authorize_url: str
