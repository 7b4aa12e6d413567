"""The bridge on a real database, with a sign-in, an Airflow and an identity server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI

from bridge_api import deps
from bridge_api.app import create_app
from integrations_hub.domain.connection import TokenGrant
from integrations_hub.errors import NotFound, NotSignedIn
from integrations_hub.store.database import Database
from integrations_hub.vault.keyring import Keyring

KEY = Keyring.new_key()
ADMIN = {"Authorization": "Bearer admin"}
VIEWER = {"Authorization": "Bearer viewer"}
API = "/api/integrations/bqe"
RULE = {"schedule": {"every": {"minutes": 15}}, "syncMode": "delta"}
COMPANY = "company-a"
GRANTED_BASE = "https://api.bqecore.com/api"


@dataclass(frozen=True)
class Person:
    name: str

    def get_name(self) -> str:
        return self.name


class FakeAuth:
    """`Bearer <name>` or the cookie `_token=<name>`; admins are called admin or root."""

    async def current_user(self, request: Any) -> Person:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        name = bearer or request.cookies.get("_token", "")
        if not name:
            raise NotSignedIn("nobody")
        return Person(name)

    async def may_administer(self, user: Any) -> bool:
        return user.name in ("admin", "root")


@dataclass
class FakeAirflow:
    """Fulfils ports.AirflowClient; `log` keeps the order of what was asked."""

    log: list[str] = field(default_factory=list)
    pools: dict[str, int] = field(default_factory=dict)
    connections: dict[str, dict[str, str]] = field(default_factory=dict)
    dags: dict[str, set[str]] = field(default_factory=dict)
    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    visible: bool = True
    next_at: datetime | None = None
    error: Exception | None = None
    parts: dict[str, Any] = field(
        default_factory=lambda: {
            name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "dag_processor")
        }
    )

    def _ask(self, what: str) -> None:
        if self.error is not None:
            raise self.error
        self.log.append(what)

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        self._ask(f"pool {name}")
        self.pools.setdefault(name, slots)

    def upsert_connection(self, conn_id: str, *, conn_type: str, description: str) -> None:
        self._ask(f"connection {conn_id}")
        self.connections[conn_id] = {"conn_type": conn_type, "description": description}

    def forget(self, conn_id: str) -> None:
        self._ask(f"forget {conn_id}")
        self.connections.pop(conn_id, None)
        self.pools.pop(conn_id, None)

    def reparse(self) -> None:
        self._ask("reparse")

    def wait_for_dag(self, dag_id: str, tag: str, *, timeout_s: float) -> bool:
        self._ask(f"wait {dag_id} {tag}")
        if self.visible:
            self.dags[dag_id] = {tag}
        return self.visible

    def next_run(self, dag_id: str) -> datetime | None:
        self._ask(f"next {dag_id}")
        return self.next_at

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        self._ask(f"{'pause' if paused else 'unpause'} {dag_id}")
        return dag_id in self.dags

    def trigger(self, dag_id: str, dag_run_id: str, conf: Mapping[str, Any]) -> bool:
        self._ask(f"trigger {dag_id} {dag_run_id}")
        if dag_id not in self.dags and dag_id != "hub__on_demand":
            raise NotFound(f"no {dag_id}", code="DAG_UNKNOWN")
        new = (dag_id, dag_run_id) not in self.runs
        self.runs.setdefault((dag_id, dag_run_id), {"conf": dict(conf)})
        return new

    def fail_run(self, dag_id: str, dag_run_id: str) -> bool:
        self._ask(f"fail {dag_id} {dag_run_id}")
        return (dag_id, dag_run_id) in self.runs

    def fail_active_runs(self, dag_id: str) -> int:
        self._ask(f"fail-active {dag_id}")
        return 0

    def health(self) -> dict[str, Any]:
        self._ask("health")
        return self.parts


class FakeIdentity:
    """Fulfils ports.AuthClient: counts exchanges; `grant` is what the next one answers."""

    issuer = "https://identity.example.test"

    def __init__(self) -> None:
        self.exchanges: list[dict[str, str]] = []
        self.revoked: list[str] = []
        self.error: Exception | None = None
        self.grant = TokenGrant(
            access_token="access-canary-1",
            refresh_token="refresh-canary-1",
            expires_in_s=3600,
            api_base_url=GRANTED_BASE,
            company_id=COMPANY,
            scope="",
        )

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        query = {"redirect_uri": redirect_uri, "state": state, "code_challenge": code_challenge}
        return str(httpx.URL("https://identity.example.test/authorize", params=query))

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> TokenGrant:
        self.exchanges.append(
            {"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        )
        if self.error is not None:
            raise self.error
        return self.grant

    def refresh(self, refresh_token: str) -> TokenGrant:
        raise AssertionError("nobody refreshes here")

    def client_credentials(self) -> TokenGrant:
        raise AssertionError("a consent is no client credentials")

    def revoke(self, token: str) -> bool:
        if self.error is not None:
            raise self.error
        self.revoked.append(token)
        return True


class BridgeKit:
    """One app. `call` is one request of an admin with a bearer unless headers say otherwise."""

    def __init__(self, database_url: str, **environ: str) -> None:
        self.environ = {
            "HUB_DATABASE_URL": database_url,
            "INTEGRATIONS_ENABLED": "true",
            "INTEGRATIONS_SECRET_KEY": KEY,
            "BQE_CLIENT_ID": "client",
            "BQE_CLIENT_SECRET": "client-secret-canary",
            **environ,
        }
        self.database = Database.from_url(database_url)
        self.airflow, self.identity = FakeAirflow(), FakeIdentity()
        self.app = self._app()
        self.serve: Any = None  # another ASGI app around ours
        self.secrets = {KEY, "client-secret-canary", "code-canary"}  # what no audit entry may hold

    def _app(self) -> FastAPI:
        app = create_app(FakeAuth(), "http://airflow.invalid", self.environ)
        app.dependency_overrides[deps.airflow] = lambda: self.airflow
        app.dependency_overrides[deps.auth_clients] = lambda: lambda provider: self.identity
        return app

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """One request; the app's idle sessions are closed with it (each call is a loop of its own)."""
        return self.calls((method, path, body, headers, more))[0]

    def calls(
        self, *requests: tuple[str, str, Any, Mapping[str, str] | None, dict[str, Any]]
    ) -> list[httpx.Response]:
        """All at the same time."""

        async def send_all() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.serve or self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8080"
            ) as client:
                return list(
                    await asyncio.gather(
                        *(
                            client.request(
                                method,
                                path,
                                json=body,
                                headers=ADMIN if headers is None else headers,
                                **more,
                            )
                            for method, path, body, headers, more in requests
                        )
                    )
                )

        try:
            return asyncio.run(send_all())
        finally:
            self.app.state.bridge.pool.close()

    # --- steps that many tests begin with ---

    def create(self, key: str = "acme") -> dict[str, Any]:
        body = {"key": key, "label": "Acme", "environment": "production"}
        answer = self.call("POST", f"{API}/connections", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def start(
        self, key: str = "acme", headers: Mapping[str, str] = ADMIN
    ) -> tuple[dict[str, str], str]:
        """(query of the authorize URL, cookie header to bring back)."""
        answer = self.call("POST", f"{API}/connect/start?connection={key}", headers=headers)
        assert answer.status_code == 200, answer.text
        query = parse_qs(urlsplit(answer.json()["authorize_url"]).query)
        cookie = answer.headers["set-cookie"].partition(";")[0]
        self.secrets |= {query["state"][0], cookie.partition("=")[2]}
        return {name: values[0] for name, values in query.items()}, cookie

    def callback(
        self, state: str, cookie: str, path: str = "/connect/callback", **query: str
    ) -> httpx.Response:
        params = {"state": state, "code": "code-canary", **query}
        headers = {"Cookie": cookie} if cookie else {}
        return self.call("GET", f"{API}{path}", headers=headers, params=params)

    def connect(self, key: str = "acme") -> None:
        self.create(key)
        query, cookie = self.start(key)
        assert self.callback(query["state"], cookie).status_code == 200

    def status(self, key: str = "acme", *, api: str = API) -> dict[str, Any]:
        """How the connection is shown; `api`: the provider's address at the bridge."""
        return dict(self.call("GET", f"{api}/connections/{key}").json())

    def save_rule(self, key: str = "acme", **options: Any) -> dict[str, Any]:
        answer = self.call("PUT", f"{API}/projects/rule?connection={key}", {**RULE, **options})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def enable(self, key: str = "acme", **body: Any) -> httpx.Response:
        return self.call("POST", f"{API}/projects/rule/enable?connection={key}", body)

    def audit(self) -> list[str]:
        rows = self.database.rows("SELECT actor, action FROM hub.audit_log ORDER BY seq")
        return [f"{row['actor']} {row['action']}" for row in rows]

    def refuse_secrets_in_the_audit(self, text: str) -> None:
        pair = {self.identity.grant.access_token, self.identity.grant.refresh_token or ""}
        verifiers = {one["code_verifier"] for one in self.identity.exchanges}
        for secret in (self.secrets | pair | verifiers) - {""}:
            assert secret not in text, "an audit entry holds a secret"

    def close(self) -> None:
        """Every test with a bridge ends by looking into its audit log."""
        try:
            rows = self.database.rows("SELECT row_to_json(a)::text AS entry FROM hub.audit_log a")
            self.refuse_secrets_in_the_audit("\n".join(row["entry"] for row in rows))
        finally:
            self.database.close()
