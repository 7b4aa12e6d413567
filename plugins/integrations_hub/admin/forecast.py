"""What a reading would cost: requests, and minutes at the budget that the connection shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.ports.runs import RunStore


@dataclass(frozen=True)
class Forecast:
    """None = not known: no complete listing was read yet. `minutes` when nothing else asks meanwhile."""

    records: int | None
    requests: int | None
    minutes: float | None


@dataclass(frozen=True)
class Forecasts:
    """`requests_per_minute(connection)`: what the connection may send, the provider's total included."""

    runs: RunStore
    registry: Registry
    requests_per_minute: Callable[[Connection], int]

    def of_everything(self, connection: Connection, object_key: str) -> Forecast:
        """The whole list once, as its last complete listing was."""
        last = self.runs.last_listing(connection.id, object_key)
        if last is None:
            return Forecast(None, None, None)
        records, requests = last
        return self._at(connection, records, requests)

    def of_records(self, connection: Connection, records: int) -> Forecast:
        """So many records, listed by their stamps."""
        size = self.registry.get_provider(connection.provider_key).paging.size
        return self._at(connection, records, ceil(records / size) + 1)

    def _at(self, connection: Connection, records: int, requests: int) -> Forecast:
        minutes = requests / max(1, self.requests_per_minute(connection))
        return Forecast(records, requests, round(minutes, 1))
