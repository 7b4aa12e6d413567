"""The whole stack under one parent: PostgreSQL, api-server, scheduler, dag-processor.

Never `airflow standalone`: a signal ends only its parent and leaves the components running.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from integrations_hub.cli.airflow_database import migrate_airflow
from integrations_hub.cli.airflow_env import StackSettings, component_env
from integrations_hub.cli.component import Component, birth_of, end_leftovers
from integrations_hub.cli.databases import Databases, open_databases
from integrations_hub.cli.doctor import refuse_dropped_keys
from integrations_hub.cli.ports import free_port, is_free
from integrations_hub.cli.readiness import is_ready
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import State
from integrations_hub.errors import ConfigurationError, HubError
from integrations_hub.store.migrate import upgrade

_STOP_S = 30.0
_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S = 60.0  # a component that ran this long starts its back-off anew
_PROGRAMS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
_PROCESSES = "processes.json"


@dataclass(frozen=True)
class StackOptions:
    """How to start: `port` 0 takes any free one, `ready_s` bounds the wait, `fsync=False` is for tests."""

    repository: Path
    port: int = 8080
    ready_s: float = 240.0
    fsync: bool = True


class Stack:
    """Enter: everything runs and answers. Leave: nothing of it is left."""

    def __init__(
        self,
        options: StackOptions,
        environ: Mapping[str, str],
        state: State,
        shutdown: Shutdown,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._environ = environ
        self._state = state
        self._shutdown = shutdown
        self._say = say
        self._claimed = False
        self._components: list[Component] = []
        self._databases: Databases | None = None
        self._settings: StackSettings | None = None
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def __enter__(self) -> Stack:
        try:
            self._start()
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

    @property
    def settings(self) -> StackSettings:
        """What the running stack was started with."""
        if self._settings is None:
            raise ConfigurationError("The stack is not started.")
        return self._settings

    @property
    def components(self) -> dict[str, Component]:
        """The Airflow components by name."""
        return {component.name: component for component in self._components}

    @property
    def databases(self) -> Databases:
        """The databases in use."""
        if self._databases is None:
            raise ConfigurationError("The stack is not started.")
        return self._databases

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Stay up, restarting what dies, until `until()` or a signal (StopRequested)."""
        while not until():
            self._shutdown.sleep(0.5)
            self.revive()

    def revive(self) -> None:
        """Start again whatever has died, PostgreSQL first; the scheduler ends whenever PostgreSQL restarts."""
        server = self._databases.embedded if self._databases else None
        if server is not None and server.pid is None:
            self._say("PostgreSQL ended; starting it again.")
            server.start()
        for component in self._components:
            if component.is_running:
                continue
            self._revive_component(component)

    def stop(self) -> None:
        """SIGTERM to all components, 30 s for all together, then SIGKILL to what is left; PostgreSQL last."""
        if self._components:
            self._say("Stopping…")
        for component in self._components:
            component.ask_to_stop()
        deadline = time.monotonic() + _STOP_S
        for component in self._components:
            if not component.wait(deadline):
                self._say(f"{component.name} did not end within {_STOP_S:.0f} s and is killed.")
            component.kill_session()
        self._components = []
        if self._databases is not None and self._databases.embedded is not None:
            self._databases.embedded.stop()
        self._databases = None
        if self._state.is_held:  # not when another start holds the folder
            (self._state.folder / _PROCESSES).unlink(missing_ok=True)
        if self._claimed:
            self._state.release()

    def _start(self) -> None:
        began = time.monotonic()
        self._claimed = self._state.claim()
        self._clear_leftovers()
        port = self._options.port or free_port()
        if not is_free(port):
            raise ConfigurationError(
                f"Port {port} on 127.0.0.1 is busy, so Airflow's api-server cannot listen there.",
                hint="Stop the program that uses it, or choose another port with --port.",
                code="PORT_BUSY",
            )
        self._say("Opening the database…")
        self._databases = open_databases(
            self._environ, self._state.postgres, fsync=self._options.fsync
        )
        self._shutdown.check()
        self._settings = StackSettings(
            repository=self._options.repository, state=self._state, port=port, environ=self._environ,
            hub_url=self._databases.hub_url, airflow_url=self._databases.airflow_url,
        )  # fmt: skip
        self._migrate(self._settings)
        self._start_components(self._settings)
        self._await_ready(self._settings)
        self._say(f"Airflow and the Hub are up after {time.monotonic() - began:.0f} s.")

    def _migrate(self, settings: StackSettings) -> None:
        self._say("Running migrations…")
        upgrade(settings.hub_url)
        refuse_dropped_keys(settings.hub_url, component_env(settings, with_secrets=True))
        self._shutdown.check()
        env = component_env(settings, with_secrets=False)
        migrate_airflow(self._state, settings.airflow_url, env, self._shutdown)

    def _start_components(self, settings: StackSettings) -> None:
        self._say("Starting api-server, scheduler and dag-processor…")
        for name, arguments in _PROGRAMS.items():
            component = Component(
                name, [sys.executable, "-m", "airflow", *arguments],
                component_env(settings, with_secrets=name == "api-server"),
                log=self._state.logs / f"{name}.log", folder=settings.state.folder,
            )  # fmt: skip
            self._components.append(component)
            component.start()
        self._note_processes()

    def _await_ready(self, settings: StackSettings) -> None:
        deadline = time.monotonic() + self._options.ready_s
        missing = ["api-server"]
        while missing:
            self._shutdown.sleep(0.3)
            for component in self._components:
                if not component.is_running:
                    raise HubError(
                        f"{component.name} ended with exit code {component.exit_code} while starting; "
                        f"its log ends with:\n{component.last_lines()}",
                        hint=f"The whole log is {component.log}.",
                        code="COMPONENT_ENDED",
                    )
            missing = is_ready(settings.base_url, self.components)
            if missing and time.monotonic() > deadline:
                raise HubError(
                    f"Not ready within {self._options.ready_s:.0f} s: {', '.join(missing)}.",
                    hint=f"Look at the logs in {self._state.logs}.",
                    code="NOT_READY",
                )

    def _revive_component(self, component: Component) -> None:
        now = time.monotonic()
        if component.name not in self._due:
            steady = time.time() - component.started_at > _STEADY_S
            count = 0 if steady else self._failures.get(component.name, 0)
            pause = _BACKOFF_S[min(count, len(_BACKOFF_S) - 1)]
            self._failures[component.name] = count + 1
            self._due[component.name] = now + pause
            component.kill_session()  # what it left behind must not run beside its successor
            self._say(
                f"{component.name} ended with exit code {component.exit_code}; starting it again in {pause:.0f} s."
            )
        elif now >= self._due[component.name]:
            del self._due[component.name]
            component.start()
            self._note_processes()

    def _note_processes(self) -> None:
        """So that the next start can end what a killed supervisor left behind."""
        born = {str(c.pid): birth_of(c.pid) for c in self._components if c.is_running}
        self._state.note(_PROCESSES, born)

    def _clear_leftovers(self) -> None:
        for pid in end_leftovers(self._state.noted(_PROCESSES)):
            self._say(f"Process {pid} was left behind by a start that was killed, and is ended.")
