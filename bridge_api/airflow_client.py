"""Airflow's REST API v2 with the caller's own credential: in this process, or over HTTP.

No cookie jar and no redirects: two people's requests share nothing but the connection pool.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import anyio
import httpx
from fastapi import Request
from starlette.types import ASGIApp

from integrations_hub.errors import (
    ConfigurationError,
    Forbidden,
    HubError,
    NotFound,
    NotSignedIn,
    TransientError,
)

HOUSEKEEPING = "hub__housekeeping"  # always there, so its file can always be parsed again
_FORWARDED = ("authorization", "cookie")
_DEADLINE_S = 30.0
_POLL_S = 0.25
_ACTIVE = ("queued", "running")
_PAGE = 100

Send = Callable[[httpx.Request], httpx.Response]


class AirflowTransport:
    """One per app. `target`: Airflow's ASGI app in this process, or the api-server's base URL."""

    def __init__(self, target: ASGIApp | str) -> None:
        self.base_url = target.rstrip("/") if isinstance(target, str) else "http://airflow"
        self._transport: httpx.AsyncBaseTransport = (
            httpx.AsyncHTTPTransport()
            if isinstance(target, str)
            else httpx.ASGITransport(target, raise_app_exceptions=False)
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Raises TransientError when Airflow does not answer in time."""
        try:
            with anyio.fail_after(_DEADLINE_S):
                response = await self._transport.handle_async_request(request)
                await response.aread()
        except (httpx.HTTPError, TimeoutError) as error:
            raise _unavailable(f"gave no answer ({type(error).__name__})") from error
        return response

    def client_for(self, request: Request) -> HttpAirflowClient:
        """Airflow as the caller of this request; for use on a route's thread."""
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        headers["x-request-id"] = request.state.request_id
        return HttpAirflowClient(
            self.base_url, headers, lambda one: anyio.from_thread.run(self.send, one)
        )


class HttpAirflowClient:
    """Fulfils ports.AirflowClient. The traps of each call stand beside it."""

    def __init__(self, base_url: str, headers: Mapping[str, str], send: Send) -> None:
        self._api = f"{base_url}/api/v2"
        self._headers = dict(headers)
        self._send = send

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool unless it is there: people may have changed its slots."""
        if self._get(f"/pools/{quote(name)}") is not None:
            return
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self._call("POST", "/pools", body, fine=(409,))

    def upsert_connection(self, conn_id: str, *, conn_type: str, description: str) -> None:
        """Only type and description are ours; what people added to the row stays."""
        body = {"connection_id": conn_id, "conn_type": conn_type, "description": description}
        path = f"/connections/{quote(conn_id)}"
        known = self._get(path)
        if known is None:
            self._call("POST", "/connections", body, fine=(409,))
        elif any(known.get(name) != value for name, value in body.items()):
            self._call("PATCH", f"{path}?update_mask=conn_type&update_mask=description", body)

    def forget(self, conn_id: str) -> None:
        """The row first: a pool that is in use may be refused."""
        self._call("DELETE", f"/connections/{quote(conn_id)}", fine=(404,))
        self._call("DELETE", f"/pools/{quote(conn_id)}", fine=(404,))

    def reparse(self) -> None:
        """Ask for the Hub's Dag file; a request that is pending (409) is as good as ours."""
        known = self._get(f"/dags/{HOUSEKEEPING}")
        if known is not None:
            token = quote(str(known["file_token"]), safe="")
            self._call("PUT", f"/parseDagFile/{token}", fine=(404, 409))

    def wait_for_dag(self, dag_id: str, tag: str, *, timeout_s: float) -> bool:
        """Ask until the Dag carries the tag and is not stale."""
        deadline = time.monotonic() + timeout_s
        while True:
            dag = self._get(f"/dags/{quote(dag_id)}")
            if dag is not None and not dag.get("is_stale") and tag in _tags(dag):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)

    def next_run(self, dag_id: str) -> datetime | None:
        """`next_dagrun_run_after`: null on hold, and stale for a paused Dag."""
        dag = self._get(f"/dags/{quote(dag_id)}") or {}
        text = None if dag.get("is_paused") else dag.get("next_dagrun_run_after")
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        """False when Airflow does not know the Dag."""
        answer = self._call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": paused}, fine=(404,))
        return answer.status_code != 404

    def trigger(self, dag_id: str, dag_run_id: str, conf: Mapping[str, Any]) -> bool:
        """logical_date is required and null: two manual runs may share an instant."""
        body = {"dag_run_id": dag_run_id, "logical_date": None, "conf": dict(conf)}
        answer = self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", body, fine=(404, 409))
        if answer.status_code == 404:
            raise NotFound(
                f"Airflow does not show the Dag {dag_id} yet.",
                hint="Wait some seconds and try again; if it stays away, look at the Hub's health.",
                code="DAG_UNKNOWN",
            )
        return answer.status_code != 409

    def fail_run(self, dag_id: str, dag_run_id: str) -> bool:
        """Only what is active: Airflow would turn a success into a failure as well."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(dag_run_id, safe='')}"
        known = self._get(path)
        if known is None:
            return False
        if known.get("state") in _ACTIVE:
            self._call("PATCH", path, {"state": "failed"}, fine=(404,))
        return True

    def fail_active_runs(self, dag_id: str) -> int:
        """Every queued or running one."""
        runs = list(self._active_runs(dag_id))
        for run in runs:
            self.fail_run(dag_id, str(run["dag_run_id"]))
        return len(runs)

    def health(self) -> dict[str, Any]:
        """/monitor/health as it is; it knows nothing of workers."""
        answer = self._call("GET", "/monitor/health")
        return dict(answer.json())

    def _active_runs(self, dag_id: str) -> Iterator[dict[str, Any]]:
        states = "&".join(f"state={state}" for state in _ACTIVE)
        found = self._get(f"/dags/{quote(dag_id)}/dagRuns?{states}&limit={_PAGE}")
        yield from (found or {}).get("dag_runs", [])

    def _get(self, path: str) -> dict[str, Any] | None:
        """None for 404."""
        answer = self._call("GET", path, fine=(404,))
        return None if answer.status_code == 404 else dict(answer.json())

    def _call(
        self, method: str, path: str, body: Any = None, *, fine: tuple[int, ...] = ()
    ) -> httpx.Response:
        request = httpx.Request(
            method,
            self._api + path,
            json=body,
            headers=self._headers,
            extensions={"timeout": httpx.Timeout(_DEADLINE_S, connect=5).as_dict()},
        )
        answer = self._send(request)
        if answer.is_success or answer.status_code in fine:
            return answer
        raise _error(method, path.partition("?")[0], answer)


def _tags(dag: Mapping[str, Any]) -> set[str]:
    return {str(item["name"]) for item in dag.get("tags", [])}


def _error(method: str, path: str, answer: httpx.Response) -> HubError:
    status = answer.status_code
    if status == 401:
        return NotSignedIn("Airflow does not accept the sign-in any more.")
    if status == 403:
        return Forbidden(f"Airflow does not let you do this ({method} {path}).")
    if status >= 500 or status == 429:
        return _unavailable(f"answered {method} {path} with {status}")
    return ConfigurationError(
        f"Airflow refused {method} {path} with {status}: {_detail(answer)}",
        hint="Look at what Airflow says; its Dag page shows import errors.",
        code="AIRFLOW_REFUSED",
    )


def _unavailable(what: str) -> TransientError:
    return TransientError(
        f"Airflow {what}.",
        retry_after_s=5,
        hint="Try again in a moment; if it stays so, look at the api-server's log.",
        code="AIRFLOW_UNAVAILABLE",
    )


def _detail(answer: httpx.Response) -> str:
    """Airflow's own sentence, short; a list of problems as their kinds and places only."""
    try:
        detail = answer.json()["detail"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return "no reason was given"
    if isinstance(detail, list):
        return "; ".join(f"{one.get('loc')}: {one.get('type')}" for one in detail)[:300]
    return str(detail)[:300]
