"""The demo's counterpart: a provider's sandbox as a child process, or one that already runs on this machine."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from integrations_hub.cli.component import Component, birth_of, end_leftovers
from integrations_hub.cli.ports import free_port, is_free
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import State
from integrations_hub.errors import HubError, ProviderUnreachable, SettingInvalid

_READY_S = 60.0
_STOP_S = 10.0
_NOTE = "sandbox.json"
_PROCESS = "sandbox_process.json"


class DemoSandbox:
    """Enter: it answers, and `url`, `identity` say where. It keeps its port and its grants in the state folder.

    `given`: the identity address of a sandbox that somebody else started with --control; it is then left running.
    """

    def __init__(self, provider: str, state: State, shutdown: Shutdown, given: str = "") -> None:
        self.url = ""
        self.identity = ""
        self.process: Component | None = None
        self._provider = provider
        self._state = state
        self._shutdown = shutdown
        self._given = given

    def __enter__(self) -> DemoSandbox:
        try:
            if self._given:
                self._use(self._given)
            else:
                self._start()
            self.truth()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def truth(self) -> dict[str, int]:
        """What a right sync ends with: roots, children, rejected, loadable."""
        return cast("dict[str, int]", self._control("GET", "truth"))

    def touch(self, roots: int) -> None:
        """Change that many loadable roots upstream."""
        self._control("POST", "touch", {"roots": roots})

    def stop(self) -> None:
        """End our own process; twice is once."""
        if self.process is not None:
            self.process.ask_to_stop()
            self.process.wait(time.monotonic() + _STOP_S)
            self.process.kill_session()
            self.process = None

    def _use(self, identity: str) -> None:
        parts = urlsplit(identity)
        if parts.hostname not in ("127.0.0.1", "localhost"):
            raise SettingInvalid(
                f"The demo changes records upstream, so it talks to a sandbox on this machine only, not to {parts.hostname}.",
                hint="Unset the provider's _AUTH_BASE_URL for the demo.",
            )
        self.identity = identity.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}"

    def _start(self) -> None:
        end_leftovers(self._state.noted(_PROCESS))
        noted = self._state.noted(_NOTE).get("port", "")
        port = int(noted) if noted.isdigit() and is_free(int(noted)) else free_port()
        self.process = Component(
            "sandbox",
            [
                sys.executable, "-m", f"providers.{self._provider}.sandbox.server", "--host", "127.0.0.1",
                "--port", str(port), "--control",
                "--state-file", str(self._state.folder / "sandbox-data.json"),
            ],
            os.environ, log=self._state.logs / "sandbox.log", folder=self._state.folder,
        )  # fmt: skip
        self.process.start()
        self._state.note(_PROCESS, {str(self.process.pid): birth_of(self.process.pid)})
        told = self._await_address(self.process)
        self.url, self.identity = told["url"], told["identity"]
        self._state.note(_NOTE, {"port": str(port)})

    def _await_address(self, process: Component) -> Mapping[str, str]:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            for line in process.last_lines().splitlines():
                if line.startswith("{"):
                    return cast("Mapping[str, str]", json.loads(line))
            if not process.is_running:
                raise HubError(
                    f"The sandbox ended with exit code {process.exit_code}: {process.last_lines(3)}",
                    hint=f"Its log is {process.log}.", code="COMPONENT_ENDED",
                )  # fmt: skip
            self._shutdown.sleep(0.05)
        raise HubError(
            f"The sandbox did not answer within {_READY_S:.0f} s.",
            hint=f"Its log is {process.log}.",
        )

    def _control(self, method: str, path: str, body: Mapping[str, int] | None = None) -> Any:
        try:
            answer = httpx.request(
                method, f"{self.url}/__control/{path}", json=body, timeout=30, trust_env=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnreachable(
                f"The sandbox at {self.url} does not answer: {error}.",
                hint="Start it, or unset the provider's _AUTH_BASE_URL: the demo then starts its own.",
            ) from error
        if answer.status_code != 200:
            raise ProviderUnreachable(
                f"{self.url}/__control/{path} was answered with {answer.status_code}.",
                hint="Is it a sandbox, and was it started with --control?",
            )
        return answer.json()
