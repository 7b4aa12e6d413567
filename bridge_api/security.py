"""Who may call which route: one table, one guard that every route passes before its body is read."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import Enum
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import Request

from integrations_hub.errors import Forbidden, HubError, IntegrationsDisabled, NotSignedIn


class User(Protocol):
    """A person as the auth backend knows them."""

    def get_name(self) -> str:
        """The name that Airflow and our audit write down."""


class AuthBackend(Protocol):
    """Airflow's own sign-in (embedded), or a question to its api-server (remote)."""

    def current_user(self, request: Any) -> Awaitable[Any]:
        """The User of this request; raises NotSignedIn, or gives None, without one."""

    def may_administer(self, user: Any) -> Awaitable[bool]:
        """May create and edit connections and pools, and is an admin where roles have names."""


class RouteClass(Enum):
    """D1: who may call."""

    ANONYMOUS = "anonymous"
    SIGNED_IN = "signed in"
    ADMIN = "admin"


LIVENESS = "/healthz"
CALLBACK = "/api/integrations/{provider}/connect/callback"
CALLBACK_ALIAS = "/api/integrations/{provider}/callback"
CALLBACK_STATIC = "/static/{file}"

# What is not here is for admins only. The callbacks are guarded by the signed single-use state, the
# browser's cookie and the actor: a browser that comes back from the provider has no bearer token.
ROUTE_CLASSES: dict[tuple[str, str], RouteClass] = {
    ("GET", LIVENESS): RouteClass.ANONYMOUS,
    ("GET", CALLBACK): RouteClass.ANONYMOUS,
    ("GET", CALLBACK_ALIAS): RouteClass.ANONYMOUS,
    ("GET", CALLBACK_STATIC): RouteClass.ANONYMOUS,
    ("GET", "/api/capabilities/"): RouteClass.SIGNED_IN,
}

_SAFE = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")


def class_of(method: str, path: str) -> RouteClass:
    """The row of a route; admin without one."""
    return ROUTE_CLASSES.get((method, path), RouteClass.ADMIN)


async def guard(request: Request, path: str) -> None:
    """Let the request pass, or raise NotSignedIn, Forbidden or what blocks the Hub.

    Leaves `hub_user` (name) and `hub_admin` in request.state for the routes.
    """
    settings = request.app.state.bridge.settings
    if path == LIVENESS:
        return
    if settings.blocked_by is not None:
        # a fresh one: a raised exception keeps the traceback of every request it ended
        raise _again(settings.blocked_by)
    if settings.enabled:
        await request.app.state.bridge.keys.refuse()
    kind = class_of(request.method, path)
    unsafe = request.method not in _SAFE
    if unsafe:
        _refuse_foreign_page(request, settings.public_url)
    if kind is not RouteClass.ANONYMOUS:
        await _sign_in(request, kind)
    if not settings.enabled and (unsafe or path in (CALLBACK, CALLBACK_ALIAS)):
        raise IntegrationsDisabled("Integrations are switched off (INTEGRATIONS_ENABLED=false).")


async def user_of(request: Request) -> User | None:
    """The signed-in person, None without one."""
    try:
        user: User | None = await request.app.state.bridge.auth.current_user(request)
    except NotSignedIn:
        return None
    return user


async def _sign_in(request: Request, kind: RouteClass) -> None:
    user = await user_of(request)
    if user is None:
        raise NotSignedIn("This route needs a sign-in to Airflow.")
    is_admin = bool(await request.app.state.bridge.auth.may_administer(user))
    request.state.hub_user, request.state.hub_admin = user.get_name(), is_admin
    if kind is RouteClass.ADMIN and not is_admin:
        raise Forbidden("The Integrations Hub is for Airflow administrators.")


def _refuse_foreign_page(request: Request, public_url: str | None) -> None:
    """No other site's page may write here, whatever credential its browser sends along.

    The origin is checked for bearers, too: Airflow's own middleware may turn a cookie into one.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = {request.headers.get("host", ""), urlsplit(public_url or "").netloc} - {""}
    foreign = site is not None and site not in _OWN_SITE
    if foreign or (origin is not None and urlsplit(origin).netloc not in own):
        raise Forbidden(
            "The request comes from a page of another site.",
            hint="Open the Hub at its own address; set HUB_PUBLIC_URL when a proxy changes it.",
            code="CSRF_REFUSED",
        )
    if "authorization" not in request.headers and request.headers.get("x-hub-csrf") != "1":
        raise Forbidden(
            "A change made with a sign-in cookie needs the header X-Hub-CSRF: 1.",
            hint="Send the header, or sign in with a bearer token.",
            code="CSRF_REFUSED",
        )


def _again(error: HubError) -> HubError:
    return type(error)(error.message, hint=error.hint, code=error.code)
