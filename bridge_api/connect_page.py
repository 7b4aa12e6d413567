"""The small page on which a consent ends: no script is needed, every value is escaped."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from integrations_hub.domain.connection import Connection
from integrations_hub.errors import HubError

STATIC = {"connect.js": "text/javascript", "connect.css": "text/css"}
_FOLDER = Path(__file__).with_name("static")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{root}/static/connect.css">
</head>
<body>
<main data-outcome="{outcome}" data-code="{code}" data-provider="{provider}" data-connection="{connection}">
<h1>{title}</h1>
<p>{message}</p>
<p class="hint">{hint}</p>
<p><a href="{root}/">Back to the Hub</a></p>
<p><small>{code} · request {request_id}</small></p>
</main>
<script src="{root}/static/connect.js"></script>
</body>
</html>
"""


def connected(request: Request, connection: Connection) -> HTMLResponse:
    """It worked; scopes that were not granted are named."""
    hint = "You can close this page."
    if connection.missing_scopes:
        names = ", ".join(connection.missing_scopes)
        hint = f"The provider granted less than the Hub asked for; it left out: {names}."
    return _page(
        request,
        200,
        title="Connected",
        message=f"{connection.label} is connected.",
        hint=hint,
        outcome="connected",
        code="CONNECTED",
        provider=connection.provider_key,
        connection=connection.key,
    )


def failed(request: Request, provider: str, status: int, error: HubError) -> HTMLResponse:
    """Why it did not, and what to do."""
    return _page(
        request,
        status,
        title="The connection was not made",
        message=error.message,
        hint=error.hint,
        outcome="failed",
        code=error.code,
        provider=provider,
        connection="",
    )


def static(name: str) -> Response:
    """One of the page's two files."""
    content = (_FOLDER / name).read_bytes()
    return Response(content, media_type=STATIC[name])


def _page(request: Request, status: int, **texts: str) -> HTMLResponse:
    values = {
        **texts,
        "root": request.scope.get("root_path", ""),
        "request_id": request.state.request_id,
    }
    page = _PAGE.format(**{name: escape(value) for name, value in values.items()})
    return HTMLResponse(page, status, headers={"Content-Security-Policy": _POLICY})
