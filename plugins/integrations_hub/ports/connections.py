"""Rows of connections, without their secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from integrations_hub.domain.connection import Connection
from integrations_hub.domain.listing import FilterProbe


@dataclass(frozen=True)
class ConnectionValues:
    """What an admin sets on a connection; None = leave it, an empty `secret_ref` or a limit of 0 takes it away.

    `limits`: its own rate limits, e.g. {"requestsPerMinute": 60}. `headers`: values of the headers
    that the provider wants from the connection. `secret_ref`: airflow:<conn_id>.
    """

    label: str | None = None
    limits: dict[str, int] | None = None
    headers: dict[str, str] | None = None
    secret_ref: str | None = None

    def told(self) -> dict[str, Any]:
        """What was given, for the audit."""
        return {name: value for name, value in vars(self).items() if value is not None}


NO_VALUES = ConnectionValues()


class ConnectionStore(Protocol):
    def create(
        self,
        *,
        provider_key: str,
        key: str,
        label: str,
        environment: str,
        actor: str,
        request_id: str | None,
        values: ConnectionValues = ...,
    ) -> Connection: ...

    def change(
        self,
        connection: Connection,
        values: ConnectionValues,
        *,
        actor: str,
        request_id: str | None,
    ) -> Connection: ...

    def get(self, provider_key: str, key: str) -> Connection:
        """Raises NotFound."""

    def by_id(self, connection_id: int) -> Connection: ...

    def list(self, provider_key: str | None = None) -> list[Connection]: ...

    def save_probe(self, connection_id: int, object_key: str, probe: FilterProbe) -> None: ...
