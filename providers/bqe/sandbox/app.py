"""The sandbox as one ASGI app: /idp, /api and, when asked for, /__control."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from providers.bqe.sandbox.api import Api
from providers.bqe.sandbox.api_errors import ApiError
from providers.bqe.sandbox.control import Control
from providers.bqe.sandbox.edge import Drop, Edge
from providers.bqe.sandbox.identity import Identity
from providers.bqe.sandbox.state import Sandbox, SandboxConfig
from providers.bqe.sandbox.tokens import Tokens


def create_app(
    config: SandboxConfig | None = None, *, sandbox: Sandbox | None = None, drop: Drop | None = None
) -> ASGIApp:
    """Build the app; pass `sandbox` to keep its state at hand, `drop` to break connections."""
    sandbox = sandbox or Sandbox(config or SandboxConfig())
    mounts = [
        Mount("/idp", routes=[*Identity(sandbox).routes(), *Tokens(sandbox).routes()]),
        Mount("/api", routes=Api(sandbox).routes()),
    ]
    if sandbox.config.control:
        mounts.append(Mount("/__control", routes=Control(sandbox).routes()))
    routes = Starlette(routes=mounts, exception_handlers={ApiError: _as_answer})
    routes.router.redirect_slashes = False
    return Edge(routes, sandbox, drop)


async def _as_answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return error.response
