"""What each route does in maintenance: one table, every route in it with its reason. No row: refused."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from bridge_api.security import CALLBACK, CALLBACK_ALIAS, CALLBACK_STATIC, LIVENESS
from integrations_hub.admin import maintenance

_API = "/api/integrations"
_CONNECTIONS = f"{_API}/{{provider}}/connections"
_OBJECT = f"{_API}/{{provider}}/{{object}}"
_RULE = f"{_OBJECT}/rule"


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
_CONNECTION = Closed("writes a connection beyond its authorisation, and Airflow's of it")
_PREVIEW = Closed("looks ahead to a change that cannot be made now")
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
    ("GET", CALLBACK_STATIC): Open("the style of the callback's page"),
    ("POST", f"{_API}/{{provider}}/connect/credentials"): _SIGN_IN,
    ("GET", f"{_API}/{{provider}}/test"): Open(
        "shows whether a sign-in works; may refresh a token"
    ),
    ("GET", _CONNECTIONS): _READS,
    ("GET", f"{_CONNECTIONS}/{{key}}"): _READS,
    ("GET", f"{_CONNECTIONS}/{{key}}/deletion"): _READS,
    ("GET", f"{_API}/providers"): _READS,
    ("GET", f"{_API}/{{provider}}"): _READS,
    ("GET", f"{_API}/{{provider}}/catalog"): _READS,
    ("GET", f"{_API}/{{provider}}/{{object}}/mapping/defaults"): _READS,
    ("GET", f"{_OBJECT}/mapping"): _READS,
    ("GET", f"{_OBJECT}/mapping/diff"): _READS,
    ("GET", f"{_OBJECT}/quarantine"): _READS,
    ("GET", f"{_OBJECT}/state"): _READS,
    ("GET", _RULE): _READS,
    ("GET", f"{_RULE}/next"): _READS,
    ("GET", f"{_RULE}/revisions"): _READS,
    ("GET", f"{_RULE}/revisions/{{revision}}"): _READS,
    ("GET", "/api/jobs/{id}/changes"): _READS,
    ("GET", "/api/jobs/{id}/download"): _READS,
    ("GET", "/api/projects"): _READS,
    ("POST", _CONNECTIONS): Closed("writes a connection, and Airflow's pool and connection of it"),
    ("PATCH", f"{_CONNECTIONS}/{{key}}"): _CONNECTION,
    ("DELETE", f"{_CONNECTIONS}/{{key}}"): _CONNECTION,
    ("POST", f"{_CONNECTIONS}/{{key}}/disable"): _CONNECTION,
    ("POST", f"{_CONNECTIONS}/{{key}}/enable"): _CONNECTION,
    ("POST", f"{_CONNECTIONS}/{{key}}/disconnect"): _CONNECTION,
    ("POST", f"{_CONNECTIONS}/{{key}}/adopt"): Closed("decided when the restored data stand"),
    ("PUT", f"{_OBJECT}/mapping"): Closed("writes the mapping"),
    ("POST", f"{_OBJECT}/mapping/preview"): _PREVIEW,
    ("PUT", f"{_OBJECT}/state"): Closed("writes the mark"),
    ("POST", f"{_OBJECT}/state/preview"): _PREVIEW,
    ("POST", f"{_OBJECT}/resync"): Closed("writes a request for a resync"),
    ("PUT", _RULE): _RULES,
    ("POST", f"{_RULE}/enable"): _RULES,
    ("POST", f"{_RULE}/disable"): _RULES,
    ("POST", f"{_API}/{{provider}}/{{object}}/run"): Closed("writes a run, which would be skipped"),
    ("POST", "/api/jobs/{id}/retry"): Closed("writes a run, which would be skipped"),
    ("POST", "/api/jobs/{id}/approve"): Closed("writes a run, which would be skipped"),
    ("POST", "/api/jobs/{id}/undo"): Closed("writes a run, which would be skipped"),
    ("POST", "/api/jobs/{id}/cancel"): Closed("writes the run row; a run under way writes nothing"),
}


def refuse_in_maintenance(request: Request, path: str) -> None:
    """Raise MaintenanceMode for a route that is not open."""
    if not isinstance(IN_MAINTENANCE.get((request.method, path)), Open):
        maintenance.refuse(request.app.state.bridge.settings.environ)
