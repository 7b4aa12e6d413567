"""The outermost layer: Date header, request recorder, latency and scripted faults."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from providers.bqe.sandbox.recorder import Entry
from providers.bqe.sandbox.state import Sandbox

BODY_LIMIT = 1_000_000
PAGE = re.compile(r"(?<=page=)\d+")

Drop = Callable[[tuple[str, int]], None]


class DroppedConnectionError(Exception):
    """The in-process stand-in for a connection that breaks: there is no socket to close."""


@dataclass
class Answer:
    """A buffered response."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Edge:
    """Wraps the routes. `drop` closes the caller's connection; None = raise (in-process)."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox, drop: Drop | None = None) -> None:
        self._app = app
        self._sandbox = sandbox
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("/__control"):
            await self._send(await self._run(scope, receive), send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = await _read(receive)
        query = scope["query_string"].decode("latin-1")
        entry = self._sandbox.recorder.begin(scope["method"], scope["path"], query, headers, body)
        try:
            await self._serve(scope, body, send, entry)
        finally:
            self._sandbox.recorder.end(entry)

    async def _serve(self, scope: Scope, body: bytes, send: Send, entry: Entry) -> None:
        text = unquote_plus(scope["query_string"].decode("latin-1")) + " " + body.decode("latin-1")
        fault = self._sandbox.faults.next_for(scope["method"], scope["path"], text) or {}
        wait_ms = self._sandbox.switches.latency_ms if scope["path"].startswith("/api/") else 0
        wait_ms += fault.get("delay_ms", 0)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if fault.get("drop"):
            await self._hang_up(scope)
            return
        self._change(fault)
        answer = _scripted(fault) or await self._answer(scope, body, fault)
        if scope["path"].startswith("/idp/"):
            self._sandbox.recorder.answered(answer.headers, answer.body)
        if fault.get("lose_answer"):
            await self._hang_up(scope)
            return
        entry.status = answer.status
        if fault.get("reset"):
            await self._break_off(scope, answer, send)
            return
        if "truncate" in fault:
            kept = fault["truncate"]
            answer.body = answer.body[: len(answer.body) // 2 if kept is True else int(kept)]
        await self._send(answer, send)

    def _change(self, fault: Mapping[str, Any]) -> None:
        if "mutate_before" in fault:
            self._sandbox.mutate(fault["mutate_before"])
        if "revoke_before" in fault:
            wanted = fault["revoke_before"]
            self._sandbox.grants.revoke_all(
                access=bool(wanted.get("access")), grant=bool(wanted.get("grant"))
            )

    async def _answer(self, scope: Scope, body: bytes, fault: Mapping[str, Any]) -> Answer:
        if fault.get("page_repeat"):
            earlier = PAGE.sub(_one_less, scope["query_string"].decode("latin-1"))
            scope = {**scope, "query_string": earlier.encode("latin-1")}
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self._run(scope, receive)

    async def _run(self, scope: Scope, receive: Receive) -> Answer:
        answer = Answer()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in message["headers"]
                }
            else:
                answer.body += message.get("body", b"")

        await self._app(scope, receive, collect)
        return answer

    async def _send(self, answer: Answer, send: Send) -> None:
        await send(self._head(answer, len(answer.body)))
        await send({"type": "http.response.body", "body": answer.body})

    async def _break_off(self, scope: Scope, answer: Answer, send: Send) -> None:
        """Announce the whole body, send half of it and close the connection."""
        await send(self._head(answer, len(answer.body) + 1))
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.02)  # lets the half leave the socket before it closes
        await self._hang_up(scope)

    def _head(self, answer: Answer, length: int) -> Message:
        headers = {**answer.headers, "date": self._sandbox.clock.http_date()}
        if answer.status != 204:
            headers["content-length"] = str(length)
        return {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
            ],
        }

    async def _hang_up(self, scope: Scope) -> None:
        if self._drop is None:
            raise DroppedConnectionError
        self._drop(scope["client"])
        await asyncio.sleep(0.01)  # the server notes the closed connection in its next turn


async def _read(receive: Receive) -> bytes:
    body = b""
    while len(body) < BODY_LIMIT:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


def _scripted(fault: Mapping[str, Any]) -> Answer | None:
    if fault.get("empty_204"):
        return Answer(204)
    if "status" not in fault:
        return None
    body = fault.get("body", "")
    plain = isinstance(body, str)
    media = "text/plain; charset=utf-8" if plain else "application/json; charset=utf-8"
    headers = {str(name).lower(): str(value) for name, value in fault.get("headers", {}).items()}
    return Answer(
        int(fault["status"]),
        {"content-type": media, **headers},
        (body if plain else json.dumps(body)).encode(),
    )


def _one_less(match: re.Match[str]) -> str:
    return str(max(int(match.group()) - 1, 1))
