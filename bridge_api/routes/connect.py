"""Connecting: the consent with its callback for the browser that comes back, and client credentials."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from bridge_api import connect_page
from bridge_api.deps import Acting, ConnectionQuery, Key, Services, redirect_uri
from bridge_api.errors import status_of
from bridge_api.models.connections import ConnectionView, ConnectStart, ConnectStarted, Credentials
from bridge_api.models.problems import problems
from bridge_api.routing import HubRoute
from bridge_api.security import CALLBACK, CALLBACK_ALIAS, CALLBACK_STATIC, user_of
from integrations_hub.admin.consent import TTL_S
from integrations_hub.admin.granted import Asked
from integrations_hub.admin.oauth_answer import Answer
from integrations_hub.domain.credentials import ClientCredentials
from integrations_hub.errors import HubError

router = APIRouter(route_class=HubRoute, tags=["connect"])

_COOKIE = "hub_oauth"
_HOST_COOKIE = "__Host-hub_oauth"  # browsers take it over https only, for this host only


async def _signed_in(request: Request) -> str | None:
    """Who is signed in to Airflow in this browser, None without anyone."""
    user = await user_of(request)
    return user.get_name() if user is not None else None


async def _answer(
    *,
    request: Request,
    provider: Key,
    signed_in: Annotated[str | None, Depends(_signed_in)],
    state: Annotated[str, Query(max_length=4000)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str, Query(max_length=4000)] = "",
) -> Answer:
    """What the browser brought; whatever else the provider wrote is not read."""
    return Answer(
        provider_key=provider,
        state=state,
        code=code,
        error=error,
        issuer=iss,
        cookie=request.cookies.get(_HOST_COOKIE) or request.cookies.get(_COOKIE, ""),
        signed_in=signed_in,
        request_id=request.state.request_id,
    )


Brought = Annotated[Answer, Depends(_answer)]


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
    body: ConnectStart | None = None,
) -> ConnectStarted:
    """Where to send the browser. It finishes within ten minutes, in this browser, as this person."""
    found = services.connections.pick(provider, connection)
    uri = redirect_uri(request, found.provider_key)
    asked = Asked(actor.name, actor.request_id, body is not None and body.confirm_company_change)
    started = services.consents().start(found, asked, redirect_uri=uri)
    _set_cookie(response, started.cookie, secure=uri.startswith("https://"))
    return ConnectStarted(authorize_url=started.authorize_url)


@router.post(
    "/api/integrations/{provider}/connect/credentials",
    responses=problems(401, 403, 404, 409, 422, 502, 503),
)
def connect_with_credentials(
    *,
    provider: Key,
    services: Services,
    actor: Acting,
    body: Credentials,
    connection: ConnectionQuery = None,
) -> ConnectionView:
    """Connect without a person: the credentials are tried at the provider's API, then kept sealed."""
    found = services.connections.pick(provider, connection)
    made = services.app_connects().connect(
        found,
        ClientCredentials(body.client_id, body.client_secret.get_secret_value()),
        Asked(actor.name, actor.request_id, body.confirm_company_change),
        named_company=body.company_id,
    )
    return ConnectionView.of(made)


@router.get(CALLBACK, response_class=HTMLResponse, responses=problems(400, 409, 502, 503))
def finish_connect(request: Request, services: Services, answer: Brought) -> HTMLResponse:
    """The provider's way back: a small page that works without scripts."""
    try:
        made = services.consents().finish(answer)
    except HubError as error:
        return connect_page.failed(request, answer.provider_key, status_of(type(error)), error)
    page = connect_page.connected(request, made)
    page.delete_cookie(_COOKIE, path="/hub", httponly=True, samesite="lax")
    page.delete_cookie(_HOST_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return page


@router.get(CALLBACK_ALIAS, response_class=HTMLResponse, responses=problems(400, 409, 502, 503))
def finish_connect_alias(request: Request, services: Services, answer: Brought) -> HTMLResponse:
    """The same under the short path that some apps are registered with."""
    return finish_connect(request=request, services=services, answer=answer)


@router.get(CALLBACK_STATIC)
def connect_page_file(file: Literal["connect.js", "connect.css"]) -> Response:
    """Script and style of that page; a strict policy allows nothing inside it."""
    return connect_page.static(file)


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
