"""Everything the mounted bridge needs of Airflow's api-server. The only module that touches its internals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from airflow.api_fastapi.app import cached_app, get_auth_manager
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

from integrations_hub.errors import NotSignedIn

_REFUSED = (401, 403)


async def current_user(request: Any) -> Any:
    """Airflow's user of this request: bearer first, then the cookie. Raises NotSignedIn."""
    try:
        return await get_user(request, bearer_credentials=await bearer_scheme(request))
    except Exception as error:
        if getattr(error, "status_code", None) in _REFUSED:
            raise NotSignedIn("Airflow does not know who sent this request.") from error
        raise


def may_administer(user: Any, environ: Mapping[str, str] = os.environ) -> bool:
    """May create and edit connections and pools and, where the auth manager names roles, has the admin role.

    With HUB_ADMIN_POLICY=op the role Op is enough.
    """
    manager = get_auth_manager()
    powers = (
        manager.is_authorized_connection(method="POST", user=user),
        manager.is_authorized_connection(method="PUT", user=user),
        manager.is_authorized_pool(method="POST", user=user),
        manager.is_authorized_pool(method="PUT", user=user),
    )
    enough = {"admin", "op"} if environ.get("HUB_ADMIN_POLICY") == "op" else {"admin"}
    roles = _roles(user)
    return all(powers) and (roles is None or bool(roles & enough))


def _roles(user: Any) -> set[str] | None:
    """Lower-case role names, None where the auth manager has none (Keycloak)."""
    if hasattr(user, "roles"):
        return {str(getattr(role, "name", role)).lower() for role in user.roles}
    if hasattr(user, "role"):
        return {str(user.role or "").lower()}
    return None


class EmbeddedAuth:
    """The bridge's sign-in when Airflow's api-server mounts it."""

    async def current_user(self, request: Any) -> Any:
        """As the function above."""
        return await current_user(request)

    async def may_administer(self, user: Any) -> bool:
        """On a thread: some auth managers ask another server."""
        return await asyncio.to_thread(may_administer, user)


async def root_app(
    scope: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Airflow's own ASGI app in this process, found at the first request: while plugins load it isn't built yet."""
    await cached_app(apps=os.environ.get("AIRFLOW_API_APPS", "all"))(scope, receive, send)
