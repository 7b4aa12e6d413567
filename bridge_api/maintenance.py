"""What each route does in maintenance: one table, every route in it with its reason. No row: refused."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from bridge_api.security import CALLBACK, CALLBACK_ALIAS, LIVENESS
from integrations_hub.admin import maintenance

_API = "/api/integrations"
_CONNECTIONS = f"{_API}/{{provider}}/connections"
_RULE = f"{_API}/{{provider}}/{{object}}/rule"


@dataclass(frozen=True)
class Open:
    """Answers as always."""

    why: str


@dataclass(frozen=True)
class Closed:
    """Answers 423 MAINTENANCE with Retry-After."""

    why: str


_SIGN_IN = Open("a consent cannot wait: writes oauth_flow, encrypted_secret, auth columns, audit")
_READS = Open("only reads")
_RULES = Closed("writes a rule, and Airflow's Dag of it")

# Only oauth_flow, encrypted_secret, the auth columns of a connection and audit_log may be written (D20).
IN_MAINTENANCE: dict[tuple[str, str], Open | Closed] = {
    ("GET", LIVENESS): Open("says only that the process lives"),
    ("GET", f"{_API}/health"): Open("says that maintenance is on, and why"),
    ("GET", "/api/capabilities/"): _READS,
    ("GET", f"{_API}/{{provider}}/jobs"): Open("people look what their runs did; only reads"),
    ("GET", "/api/jobs/{id}"): Open("people look what their runs did; only reads"),
    ("GET", f"{_API}/audit"): _READS,
    ("GET", f"{_API}/audit/verify"): _READS,
    ("POST", f"{_API}/{{provider}}/connect/start"): _SIGN_IN,
    ("GET", CALLBACK): _SIGN_IN,
    ("GET", CALLBACK_ALIAS): _SIGN_IN,
    ("GET", _CONNECTIONS): _READS,
    ("GET", f"{_CONNECTIONS}/{{key}}"): _READS,
    ("GET", f"{_API}/providers"): _READS,
    ("GET", f"{_API}/{{provider}}"): _READS,
    ("GET", f"{_API}/{{provider}}/catalog"): _READS,
    ("GET", f"{_API}/{{provider}}/{{object}}/mapping/defaults"): _READS,
    ("GET", _RULE): _READS,
    ("GET", "/api/projects"): _READS,
    ("POST", _CONNECTIONS): Closed("writes a connection, and Airflow's pool and connection of it"),
    ("PUT", _RULE): _RULES,
    ("POST", f"{_RULE}/enable"): _RULES,
    ("POST", f"{_RULE}/disable"): _RULES,
    ("POST", f"{_API}/{{provider}}/{{object}}/run"): Closed("writes a run, which would be skipped"),
    ("POST", "/api/jobs/{id}/cancel"): Closed("writes the run row; a run under way writes nothing"),
}


def refuse_in_maintenance(request: Request, path: str) -> None:
    """Raise MaintenanceMode for a route that is not open."""
    if not isinstance(IN_MAINTENANCE.get((request.method, path)), Open):
        maintenance.refuse(request.app.state.bridge.settings.environ)
