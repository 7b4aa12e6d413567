"""Connections as admins see them; no token, code or key is ever part of these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from integrations_hub.admin.connections import status_of
from integrations_hub.admin.lifecycle import Withdrawn
from integrations_hub.domain.connection import Connection
from integrations_hub.ports.connections import ConnectionValues
from integrations_hub.ports.lifecycle import Holdings

_KEY = r"^[a-z0-9]+(_[a-z0-9]+)*$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"


Label = Annotated[str, Field(pattern=_PRINTABLE, max_length=120)]
# "" takes the reference away
SecretRef = Annotated[str, Field(pattern=r"^(airflow:[A-Za-z0-9_.-]{1,200})?$", max_length=208)]
Headers = Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=10)]
Limit = Annotated[int, Field(ge=1, le=1_000_000)] | None


class OwnLimits(BaseModel):
    """Limits of this connection alone; null goes back to the provider's."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Limit = Field(None, alias="requestsPerMinute")
    burst: Limit = None
    max_concurrent: Limit = Field(None, alias="maxConcurrentPerConnection")


class ConnectionChange(BaseModel):
    """What may be edited; what is left out stays. `secret_ref`: where the app's id and secret are kept."""

    model_config = ConfigDict(extra="forbid")

    label: Label | None = None
    limits: OwnLimits | None = None
    headers: Headers | None = None
    secret_ref: SecretRef | None = None

    def values(self) -> ConnectionValues:
        """As the store takes it; a limit that is null is taken away."""
        limits = None
        if self.limits is not None:
            given = self.limits.model_dump(by_alias=True, exclude_unset=True)
            limits = {name: value or 0 for name, value in given.items()}
        return ConnectionValues(
            label=self.label, limits=limits, headers=self.headers, secret_ref=self.secret_ref
        )


class NewConnection(ConnectionChange):
    """`key` becomes part of names in Airflow, never changes and is never given again."""

    key: Annotated[str, Field(pattern=_KEY, max_length=40)]
    label: Label
    environment: Annotated[str, Field(pattern=_KEY, max_length=40)]


class ConnectionView(BaseModel):
    """How a connection stands and what it is set to; never what it keeps secret.

    `state`: new | connected | degraded | needs_reauth | locked | disconnected | disabled; `next_action`:
    connect | reconnect | adopt | enable | wait | test. `filters`: what the probe of a server-side filter found, by object.
    """

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
    limits: dict[str, int]
    headers: dict[str, str]
    secret_ref: str | None
    filters: dict[str, dict[str, Any]]

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
            limits=connection.limits,
            headers=connection.headers,
            secret_ref=connection.secret_ref,
            filters=connection.filter_probes,
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


class ConnectionOff(BaseModel):
    """`at_provider`: revoked | failed | no_endpoint | not_asked | nothing_to_revoke; `warning`: what is left to do."""

    connection: ConnectionView
    at_provider: str
    warning: str | None

    @classmethod
    def of(cls, withdrawn: Withdrawn) -> ConnectionOff:
        """The connection as it stands now, and what became of its access."""
        return cls(
            connection=ConnectionView.of(withdrawn.connection),
            at_provider=withdrawn.at_provider,
            warning=withdrawn.warning,
        )


class Deletion(BaseModel):
    """What goes with a connection (`lost`) and what stays (`kept`); send `confirm` to delete it.

    `working_run`: the run that must end first, null when none works.
    """

    confirm: str
    rules: int
    links: int
    marks: int
    mappings: int
    quarantined: int
    runs: int
    working_run: int | None
    lost: list[str]
    kept: list[str]

    @classmethod
    def of(cls, key: str, held: Holdings) -> Deletion:
        """The counts, and the same in words."""
        return cls(
            confirm=key,
            rules=held.rules,
            links=held.links,
            marks=held.states,
            mappings=held.settings,
            quarantined=held.quarantined,
            runs=held.runs,
            working_run=held.working_run,
            lost=[
                "The access to the provider: its tokens are forgotten and revoked.",
                f"{held.links} links: the Hub no longer knows which local row is which record.",
                f"{held.states} marks and {held.settings} saved mappings: another connection starts anew.",
                f"{held.quarantined} quarantined records that wait.",
                f"{len(held.enabled_dags)} Dags in Airflow, its pool and its row there.",
                f"The key {key}: it is never given again.",
            ],
            kept=[
                f"The local rows of all {held.links} links, as they are now.",
                f"The history of {held.runs} runs, {held.rules} rules (switched off) and the audit.",
            ],
        )


class Deleted(BaseModel):
    """What went, and what became of the access at the provider (as of ConnectionOff)."""

    deletion: Deletion
    at_provider: str
    warning: str | None


class ConnectStarted(BaseModel):
    """Send the browser there; it must keep the cookie of this answer."""

    authorize_url: str
