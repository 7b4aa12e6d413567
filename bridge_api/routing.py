"""The one kind of route the bridge has: guarded before its body is read, and on the Hub's own threads."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any

import anyio
from anyio.lowlevel import RunVar
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from bridge_api.errors import problem
from bridge_api.maintenance import refuse_in_maintenance
from bridge_api.security import guard
from integrations_hub.errors import HubError

log = logging.getLogger(__name__)
# Not the server's threads: a route that asks Airflow in this process waits for one of those, and
# forty of them waiting for each other would never end.
_THREADS = 16
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("hub_threads")


class HubRoute(APIRoute):
    """Deny by default: a route without a row in security.ROUTE_CLASSES is for admins."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _on_own_thread(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the guard; what nobody expected is told without its text."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await guard(request, self.path)
                refuse_in_maintenance(request, self.path)
                return await handle(request)
            except (HubError, HTTPException, RequestValidationError):
                raise
            except Exception as error:  # noqa: BLE001 - its text may quote a secret or a record
                _tell(self.path, error)
                return problem(request, 500, "UNEXPECTED", "The Hub met an unexpected error.")

        return guarded


def _tell(path: str, error: Exception) -> None:
    name = type(error).__name__
    unnamed = (RuntimeError, RuntimeError(f"{name} (its text is left out)"), error.__traceback__)
    log.error("route_failed path=%s error=%s", path, name, exc_info=unnamed)


def refuse_unguarded(app: FastAPI) -> None:
    """Raise TypeError when a route would be served without the guard."""
    open_routes = [route for route in app.routes if not isinstance(route, HubRoute)]
    if open_routes:
        raise TypeError(f"Routes without the Hub's guard: {open_routes}")


def _on_own_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function as it is; anything else runs on one of the Hub's threads."""
    if iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    async def run(*args: Any, **values: Any) -> Any:
        call = functools.partial(endpoint, *args, **values)
        return await anyio.to_thread.run_sync(call, limiter=_own_limiter())

    return run


def _own_limiter() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter
