"""Whether a started stack answers: Airflow's own health, by heartbeats younger than the start, and the Hub's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from integrations_hub.cli.component import Component

_HEARTBEATS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
}


def is_ready(base_url: str, components: Mapping[str, Component]) -> list[str]:
    """What does not answer yet, by name; empty when everything does."""
    try:
        answer = httpx.get(f"{base_url}/api/v2/monitor/health", timeout=5, trust_env=False)
        health = answer.json() if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError):
        return ["api-server", *_HEARTBEATS]
    missing = [
        name for name in _HEARTBEATS if not _is_beating(health, name, components[name].started_at)
    ]
    return missing if missing else _hub(base_url)


def _is_beating(health: dict[str, Any], name: str, since: float) -> bool:
    part, key = _HEARTBEATS[name]
    beat = (health.get(part) or {}).get(key)
    return (
        bool(beat) and datetime.fromisoformat(str(beat).replace("Z", "+00:00")).timestamp() >= since
    )


def _hub(base_url: str) -> list[str]:
    """The mounted bridge: Airflow starts without it when its plugin cannot be imported."""
    try:
        alive = httpx.get(f"{base_url}/hub/healthz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        alive = False
    return [] if alive else ["the Hub at /hub (its plugin was not loaded: see api-server.log)"]
