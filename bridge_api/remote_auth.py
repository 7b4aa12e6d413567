"""Sign-in for a bridge that runs alone: the api-server is asked with the caller's own credential."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import Request

from bridge_api.airflow_client import AirflowTransport
from integrations_hub.errors import NotSignedIn, TransientError

_REMEMBER_S = 30.0
_REMEMBERED = 1000
_TOKEN_COOKIE = "_token"  # noqa: S105 - Airflow's cookie name


@dataclass(frozen=True)
class RemoteUser:
    """A person the api-server knows."""

    name: str
    is_admin: bool

    def get_name(self) -> str:
        """Airflow's user name."""
        return self.name


class RemoteAuth:
    """Fulfils security.AuthBackend. An answer is remembered for 30 s per credential.

    Admin = may list and so edit connections, and has the admin role where Airflow names roles: in the
    token (SimpleAuthManager) or by who may list users (FAB).
    """

    def __init__(self, transport: AirflowTransport, environ: Mapping[str, str]) -> None:
        self._transport = transport
        self._op_is_admin = environ.get("HUB_ADMIN_POLICY") == "op"
        self._known: dict[str, tuple[float, RemoteUser]] = {}

    async def current_user(self, request: Request) -> RemoteUser:
        """Raises NotSignedIn, or TransientError while the api-server does not answer."""
        names = ("authorization", "cookie")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        if not headers:
            raise NotSignedIn("The request carries no sign-in.")
        key = hashlib.sha256(repr(sorted(headers.items())).encode()).hexdigest()
        found = self._known.get(key)
        if found is not None and time.monotonic() - found[0] < _REMEMBER_S:
            return found[1]
        user = await self._ask(headers, request)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (time.monotonic(), user)
        return user

    async def may_administer(self, user: Any) -> bool:
        """As found out with the sign-in."""
        return bool(user.is_admin)

    async def _ask(self, headers: dict[str, str], request: Request) -> RemoteUser:
        answer = await self._get("/ui/auth/me", headers)
        if answer.status_code != 200:
            raise NotSignedIn("Airflow does not know who sent this request.")
        name = str(answer.json()["username"])
        powers = await self._get("/api/v2/connections?limit=1", headers)
        is_admin = powers.status_code == 200 and (
            self._op_is_admin or await self._has_admin_role(headers, request)
        )
        return RemoteUser(name, is_admin)

    async def _has_admin_role(self, headers: dict[str, str], request: Request) -> bool:
        role = _role(headers.get("authorization", ""), request.cookies.get(_TOKEN_COOKIE, ""))
        if role is not None:
            return role == "admin"
        users = await self._get("/auth/fab/v1/users?limit=1", headers)
        return users.status_code in (200, 404)  # 404: an auth manager without named roles

    async def _get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        request = httpx.Request("GET", self._transport.base_url + path, headers=headers)
        answer = await self._transport.send(request)
        if answer.status_code >= 500:
            raise TransientError(
                f"Airflow answered {answer.status_code} when asked who sent this request.",
                retry_after_s=5,
                code="AIRFLOW_UNAVAILABLE",
            )
        return answer


def _role(authorization: str, cookie: str) -> str | None:
    """The role claim of the token that Airflow has just accepted; None without one.

    Airflow looks at a bearer first, then at the cookie, and so does this: another scheme is no bearer.
    """
    scheme, _, bearer = authorization.partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else cookie
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return str(role).lower() if role else None
