"""The rows of the shared request budget: slots per minute (GCRA) and places in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from integrations_hub.catalog.metadata import Provider, RateLimits
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import Disconnected, HubError, SettingInvalid
from integrations_hub.ports.outside import BudgetSlot
from integrations_hub.store.database import Database
from integrations_hub.store.statements import load

_q = load("budget")
# connect, answer and reading of one request end before this; a killed sender frees its place at once
_PLACE_TTL_S = 120


class BudgetStore:
    """Fulfils ports.BudgetRows; not for use by two threads at once: Throttle holds a lock around it.

    Works on a database session of its own, closed by `close`, because the caller's may be inside a
    transaction on another thread; on the caller's when it is the `only_thread`, as `publish_limits` does.
    """

    def __init__(self, database: Database, *, only_thread: bool = False) -> None:
        self._callers = database
        self._database = database if only_thread else database.fork()

    def acquire(
        self, token: str, provider_key: str, connection_id: int, *, max_wait_s: float
    ) -> BudgetSlot:
        """Reserve the next slot and a place in flight in one round trip.

        Limits are read here, so a change counts with the next request; so does switching the
        connection off. Raises Disconnected then, SettingInvalid when the provider's limits were
        never published.
        """
        values = _keys(provider_key, connection_id) | {
            "token": token,
            "connection_id": connection_id,
            "max_wait_s": max_wait_s,
            "ttl_s": _PLACE_TTL_S,
        }
        row = self._database.row(_q.acquire, values)
        if row is None:
            raise self._no_slot(provider_key, connection_id)
        return BudgetSlot(granted=row["granted"], wait_s=row["wait_s"])

    def _no_slot(self, provider_key: str, connection_id: int) -> HubError:
        row = self._database.row(_q.withdrawn, {"connection_id": connection_id})
        if row is not None and row["how"] is not None:
            return Disconnected(
                f"The connection {row['key']} was {row['how']} while it was in use."
            )
        return SettingInvalid(
            f"No rate limits are in force for {provider_key}.",
            hint="Start the api-server with the bridge in it: it publishes the limits.",
            code="LIMITS_UNPUBLISHED",
        )

    def release(self, token: str) -> None:
        """Free the place."""
        self._database.execute(_q.release, {"token": token})

    def pause(self, connection_id: int, seconds: float) -> None:
        """Nobody is granted a slot of this connection before then."""
        self._database.execute(
            _q.pause, {"connection": _connection_key(connection_id), "seconds": seconds}
        )

    def paused_for(self, provider_key: str, connection_id: int) -> float:
        """Seconds left of the latest pause."""
        row = self._database.row(_q.paused_for, _keys(provider_key, connection_id))
        return float(row["wait_s"]) if row else 0.0

    def publish_limits(self, provider_key: str, limits: RateLimits) -> None:
        """Put a provider's limits in force for every process."""
        self._callers.execute(
            _q.publish,
            {
                "provider_key": provider_key,
                "requests_per_minute": limits.requests_per_minute,
                "burst": limits.burst,
                "max_concurrent": limits.max_concurrent,
                "global_requests_per_minute": limits.global_requests_per_minute,
            },
        )

    def close(self) -> None:
        """End the session of its own; a sender that is gone holds no place."""
        if self._database is not self._callers:
            self._database.close()


def effective_limits(declared: RateLimits, prefix: str, environ: Mapping[str, str]) -> RateLimits:
    """provider.json below the environment (`<PREFIX>_REQUESTS_PER_MINUTE`, ...). Raises SettingInvalid."""
    return RateLimits(
        requests_per_minute=_limit(
            f"{prefix}_REQUESTS_PER_MINUTE", declared.requests_per_minute, environ
        ),
        burst=_limit(f"{prefix}_BURST", declared.burst, environ),
        max_concurrent=_limit(
            f"{prefix}_MAX_CONCURRENT_PER_CONNECTION", declared.max_concurrent, environ
        ),
        global_requests_per_minute=_limit(
            f"{prefix}_GLOBAL_REQUESTS_PER_MINUTE", declared.global_requests_per_minute, environ
        ),
    )


def connection_limits(
    provider: Provider, connection: Connection, environ: Mapping[str, str]
) -> RateLimits:
    """The connection's own limits above those of its provider. Raises SettingInvalid."""
    limits = effective_limits(provider.rate_limits, provider.oauth.env_prefix, environ)
    own = connection.limits
    return replace(
        limits,
        requests_per_minute=own.get("requestsPerMinute") or limits.requests_per_minute,
        burst=own.get("burst") or limits.burst,
        max_concurrent=own.get("maxConcurrentPerConnection") or limits.max_concurrent,
    )


def _limit(name: str, declared: int, environ: Mapping[str, str]) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return declared
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise SettingInvalid(
            f"{name} is {text!r}; expected a whole number from 1 to 1000000.",
            hint=f"Correct {name}, or remove it to use the provider's default.",
        )
    return int(text)


def _connection_key(connection_id: int) -> str:
    return f"connection:{connection_id}"


def _keys(provider_key: str, connection_id: int) -> dict[str, object]:
    return {"connection": _connection_key(connection_id), "provider": f"provider:{provider_key}"}
