"""The OAuth consent: the start for admins, the callback for the browser that comes back."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from bridge_api.deps import Acting, ConnectionQuery, Key, Services, redirect_uri
from bridge_api.errors import status_of
from bridge_api.models.connections import ConnectStarted
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from bridge_api.security import CALLBACK, CALLBACK_ALIAS, user_of
from integrations_hub.admin.consent import TTL_S, Answer
from integrations_hub.errors import HubError

router = APIRouter(route_class=HubRoute, tags=["connect"])

_COOKIE = "hub_oauth"
_HOST_COOKIE = "__Host-hub_oauth"  # browsers take it over https only, for this host only
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{message}</p><p>{hint}</p>
<p><a href="/hub/">Back to the Hub</a></p><p><small>Request {request_id}</small></p></main></body></html>
"""


async def _signed_in(request: Request) -> str | None:
    """Who is signed in to Airflow in this browser, None without anyone."""
    user = await user_of(request)
    return user.get_name() if user is not None else None


SignedIn = Annotated[str | None, Depends(_signed_in)]
Text = Annotated[str, Query(max_length=4000)]


@router.post(
    "/api/integrations/{provider}/connect/start", responses=problems(401, 403, 404, 409, 422, 503)
)
def start_connect(
    *,
    request: Request,
    response: Response,
    provider: Key,
    services: Services,
    actor: Acting,
    connection: ConnectionQuery = None,
) -> ConnectStarted:
    """Where to send the browser. It finishes within ten minutes, in this browser, as this person."""
    found = services.connections.pick(provider, connection)
    uri = redirect_uri(request, found.provider_key)
    started = services.consents().start(
        found, redirect_uri=uri, actor=actor.name, request_id=actor.request_id
    )
    _set_cookie(response, started.cookie, secure=uri.startswith("https://"))
    return ConnectStarted(authorize_url=started.authorize_url)


@router.get(CALLBACK, response_class=HTMLResponse, responses=problems(400, 409, 502, 503))
def finish_connect(
    *,
    request: Request,
    provider: Key,
    services: Services,
    signed_in: SignedIn,
    state: Text = "",
    code: Text = "",
    error: Text = "",
) -> HTMLResponse:
    """The provider's way back: a small page that works without scripts."""
    answer = Answer(
        provider_key=provider,
        state=state,
        code=code,
        error=error,
        cookie=request.cookies.get(_HOST_COOKIE) or request.cookies.get(_COOKIE, ""),
        signed_in=signed_in,
        request_id=request.state.request_id,
    )
    try:
        made = services.consents().finish(answer)
    except HubError as refusal:
        return _page(
            request,
            status_of(type(refusal)),
            "The connection was not made",
            refusal.message,
            refusal.hint,
        )
    return _page(
        request, 200, "Connected", f"{made.label} is connected.", "You can close this page."
    )


@router.get(CALLBACK_ALIAS, response_class=HTMLResponse, responses=problems(400, 409, 502, 503))
def finish_connect_alias(
    *,
    request: Request,
    provider: Key,
    services: Services,
    signed_in: SignedIn,
    state: Text = "",
    code: Text = "",
    error: Text = "",
) -> HTMLResponse:
    """The same under the short path that some apps are registered with."""
    return finish_connect(
        request=request,
        provider=provider,
        services=services,
        signed_in=signed_in,
        state=state,
        code=code,
        error=error,
    )


def _set_cookie(response: Response, value: str, *, secure: bool) -> None:
    response.set_cookie(
        _HOST_COOKIE if secure else _COOKIE,
        value,
        max_age=TTL_S,
        path="/" if secure else "/hub",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def _page(request: Request, status: int, title: str, message: str, hint: str) -> HTMLResponse:
    page = HTMLResponse(
        _PAGE.format(
            title=escape(title),
            message=escape(message),
            hint=escape(hint),
            request_id=escape(request.state.request_id),
        ),
        status,
    )
    if status == 200:
        page.delete_cookie(_COOKIE, path="/hub", httponly=True, samesite="lax")
        page.delete_cookie(_HOST_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return page
