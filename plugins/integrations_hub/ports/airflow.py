"""What the Hub asks of Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class AirflowClient(Protocol):
    """Airflow's REST API with the caller's own credential, so that Airflow names the real user.

    Raises NotSignedIn, Forbidden, TransientError (no answer, or Airflow's own trouble: the outcome
    is unknown) or ConfigurationError (Airflow refused the request).
    """

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool; the slots of one that exists are a person's choice and stay."""

    def upsert_connection(self, conn_id: str, *, conn_type: str, description: str) -> None:
        """The row without any secret that shows a Hub connection in Airflow's list."""

    def forget(self, conn_id: str) -> None:
        """Take a connection's row and its pool away; no error when they are gone."""

    def reparse(self) -> None:
        """Ask for a parse of the Hub's Dag file now."""

    def wait_for_dag(self, dag_id: str, tag: str, *, timeout_s: float) -> bool:
        """Whether the Dag carries the tag before the time is over."""

    def next_run(self, dag_id: str) -> datetime | None:
        """When Airflow will make the next scheduled run; None when it has noted none."""

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        """False when Airflow does not know the Dag."""

    def trigger(self, dag_id: str, dag_run_id: str, conf: Mapping[str, Any]) -> bool:
        """Make the Dag run; False when it is there already. Raises NotFound without the Dag."""

    def fail_run(self, dag_id: str, dag_run_id: str) -> bool:
        """End a Dag run as failed (its teardown still runs); False when Airflow does not know it."""

    def fail_active_runs(self, dag_id: str) -> int:
        """End every queued or running Dag run as failed; returns how many."""

    def health(self) -> dict[str, Any]:
        """What Airflow says of its own parts: status and heartbeat per part."""
