"""The control endpoints under /__control: truth, changes, faults, switches, clock, recorder."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.bqe.sandbox.faults import BadScriptError
from providers.bqe.sandbox.state import Sandbox
from providers.bqe.sandbox.switches import UnknownSwitchError


class Control:
    """Served only when the sandbox was started with control."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths relative to the mount."""
        return [
            Route("/truth", self.truth),
            Route("/requests", self.requests),
            Route("/requests/summary", self.summary),
            Route("/secrets", self.secrets),
            *(
                Route(path, self.command, methods=["POST"])
                for path in (
                    "/reset",
                    "/touch",
                    "/mutate",
                    "/script",
                    "/switch",
                    "/revoke",
                    "/clock",
                    "/requests/reset",
                )
            ),
        ]

    async def truth(self, request: Request) -> Response:
        """What a right sync ends with, from the rows as they are now."""
        company = request.query_params.get("company", "A")
        return JSONResponse(self._sandbox.truth(company))

    async def requests(self, _request: Request) -> Response:
        """Every recorded request, oldest first."""
        return JSONResponse([entry.shown() for entry in self._sandbox.recorder.entries])

    async def summary(self, _request: Request) -> Response:
        """Counts of the recorded requests."""
        return JSONResponse(self._sandbox.recorder.summary())

    async def secrets(self, _request: Request) -> Response:
        """Every secret value that passed either way since the start: what a leak test looks for."""
        return JSONResponse(sorted(self._sandbox.recorder.secrets))

    async def command(self, request: Request) -> Response:
        """Run the POSTed command; 400 says what is wrong with it."""
        raw = await request.body()
        try:
            given = await request.json() if raw else {}
            return JSONResponse(self._do(request.url.path.partition("/__control/")[2], given))
        except (UnknownSwitchError, BadScriptError, ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except KeyError as error:
            return JSONResponse({"error": f"there is no {error}"}, 400)

    def _do(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        sandbox = self._sandbox
        answer: dict[str, Any] = {}
        if name == "reset":
            self._reset(grants=bool(given.get("grants")))
        elif name == "requests/reset":
            sandbox.recorder.reset()
        elif name == "touch":
            company, roots = given.get("company", "A"), int(given.get("roots", 0))
            answer["ids"] = sandbox.touch(given.get("ids", ()), roots=roots, company=company)
        elif name == "mutate":
            answer["ids"] = sandbox.mutate(given)
        elif name == "script":
            sandbox.faults.add(given.get("on", {}), given["fault"])
        elif name == "switch":
            sandbox.switches.set(given)
            answer = dict(vars(sandbox.switches))
        elif name == "revoke":
            sandbox.grants.revoke_all(
                access=bool(given.get("access")), grant=bool(given.get("grant"))
            )
            sandbox.save()
        else:
            sandbox.clock.set(given["now"])
            answer["now"] = sandbox.clock.now().isoformat()
        return answer

    def _reset(self, *, grants: bool) -> None:
        self._sandbox.reset_behaviour()
        self._sandbox.reset_data()
        if grants:
            self._sandbox.grants.forget()
            self._sandbox.save()
