"""What every request and answer of the bridge has: an id, a size limit, headers that protect a browser."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations_hub.domain.redaction import redact_text

CONTRACT = "1.0"
MAX_BODY = 1_000_000
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Hub-Contract": CONTRACT,
}


class Envelope:
    """Pure ASGI. The id of a caller is kept when it is plain, so that logs of both sides meet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        own = dict(scope)
        _hide_query(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                answer["X-Request-ID"] = request_id
            await send(message)

        await self._app(own, _limited(scope, headers, receive), send_with_headers)


def _hide_query(scope: Scope) -> None:
    """Access logs of the server around us print what stands here afterwards: code and state."""
    query = "" if scope["path"].endswith("/callback") else scope["query_string"].decode("latin-1")
    scope["query_string"] = redact_text(f"?{query}")[1:].encode("latin-1")


def _request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _limited(scope: Scope, headers: Headers, receive: Receive) -> Receive:
    """Raises 413 for a body above the limit and 415 for one that is no JSON, when a route reads it."""
    if scope["method"] not in _UNSAFE:
        return receive
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY:
            raise HTTPException(413)
        if read and kind != "application/json":
            raise HTTPException(415)
        return message

    return counted
