"""`hub demo`: the whole product against its sandbox, from the OAuth consent to three verified runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from integrations_hub.cli.demo_report import compare, show
from integrations_hub.cli.demo_sandbox import DemoSandbox
from integrations_hub.cli.doctor import guard
from integrations_hub.cli.hub_client import HubClient
from integrations_hub.cli.reporting import tell
from integrations_hub.cli.shutdown import Shutdown
from integrations_hub.cli.state import ADMIN, State, state_folder
from integrations_hub.cli.supervisor import Stack, StackOptions
from integrations_hub.cli.up import announce
from integrations_hub.domain.run import ENDED, GOOD
from integrations_hub.errors import HubError

_PROVIDER, _OBJECT, _CONNECTION = "bqe", "projects", "demo"
_ADDRESS = "BQE_AUTH_BASE_URL"
_SANDBOX_SETTINGS = {
    "BQE_CLIENT_ID": "hub-sandbox-web",
    "BQE_CLIENT_SECRET": "hub-sandbox-secret",
    "BQE_ALLOWED_HOSTS": "127.0.0.1",
}
_TOUCHED = 3
_RUN_S = 600.0
_NOTE = "demo.json"


def run_demo(repository: Path, environ: Mapping[str, str], port: int, *, once: bool) -> None:
    """Start sandbox and stack, show three runs, then stay up (or end, with `once`).

    Raises HubError when a run fails or differs from the sandbox's truth.
    """
    state = State(state_folder(environ, repository))
    with Shutdown() as shutdown:
        guard(environ, state.folder)
        state.claim()
        try:
            with DemoSandbox(_PROVIDER, state, shutdown, environ.get(_ADDRESS, "")) as sandbox:
                settings = {**environ, **_SANDBOX_SETTINGS, _ADDRESS: sandbox.identity}
                with Stack(
                    StackOptions(repository, port=port), settings, state, shutdown, tell
                ) as stack:
                    hub = HubClient(stack.settings.base_url, _PROVIDER)
                    Demo(hub, state, sandbox, shutdown, stack.revive).show()
                    if not once:
                        announce(stack, state)
                        stack.watch()
        finally:
            state.release()


class Demo:
    """The three runs on a running stack; `revive` mends the stack while a run is awaited."""

    def __init__(
        self,
        hub: HubClient,
        state: State,
        sandbox: DemoSandbox,
        shutdown: Shutdown,
        revive: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._state = state
        self._sandbox = sandbox
        self._shutdown = shutdown
        self._revive = revive

    def show(self) -> None:
        """Connect, save the rule, run three times; each run is compared with the sandbox's truth."""
        try:
            self._hub.log_in(ADMIN, self._state.admin_password())
            known = self._connect()
            self._enable_rule()
            self._run("Run 1: first sync", self._expected_first(known))
            self._state.note(_NOTE, {"synced": "yes"})
            self._run("Run 2: nothing changed", {"created": 0, "updated": 0})
            self._state.note(_NOTE, {"synced": "no"})
            tell(f"Changing {_TOUCHED} roots in the sandbox…")
            self._sandbox.touch(_TOUCHED)
            self._run(f"Run 3: {_TOUCHED} roots changed", {"created": 0, "updated": _TOUCHED})
            self._state.note(_NOTE, {"synced": "yes"})
        finally:
            self._hub.close()

    def _connect(self) -> bool:
        """Authorise the connection unless its grant lives; returns whether it was there before."""
        found = self._hub.connection(_CONNECTION)
        if found is None:
            self._hub.create_connection(_CONNECTION, "Demo company", "production")
        if found is not None and self._lives(found):
            tell("The connection of an earlier demo still lives.")
            return True
        tell("Connecting: OAuth consent at the sandbox…")
        self._hub.authorise(_CONNECTION)
        now = self._hub.connection(_CONNECTION) or {}
        if not self._lives(now):
            raise HubError(
                f"After the consent the connection is {now.get('state', 'missing')}, not connected.",
                hint=f"Look at {self._state.logs / 'api-server.log'}.",
            )
        return found is not None

    def _lives(self, connection: Mapping[str, Any]) -> bool:
        """Connected, and to this sandbox (an earlier one may have listened elsewhere)."""
        here = str(connection.get("api_base_url") or "").startswith(self._sandbox.url)
        return here and connection.get("state") in ("connected", "degraded")

    def _enable_rule(self) -> None:
        rule = self._hub.rule(_OBJECT, _CONNECTION)
        if rule is None:
            tell("Saving a rule for projects…")
            rule = self._hub.save_rule(_OBJECT, _CONNECTION, demo_rule(datetime.now(timezone.utc)))
        if not rule.get("enabled"):
            tell("Enabling it: its Dag appears in Airflow…")
            self._hub.enable_rule(_OBJECT, _CONNECTION)

    def _expected_first(self, known: bool) -> dict[str, int]:
        """All loadable roots in a new Hub; nothing when the last demo ended well."""
        if not known:
            truth = self._sandbox.truth()
            return {
                "created": truth["loadable"],
                "updated": 0,
                "children": truth["children"],
                "rejected": truth["rejected"],
            }
        if self._state.noted(_NOTE).get("synced") == "yes":
            return {"created": 0, "updated": 0}
        tell("An earlier demo was interrupted: run 1 catches up with it.")
        return {}

    def _run(self, title: str, expected: Mapping[str, int]) -> None:
        tell(f"{title}…")
        started = self._hub.run_now(_OBJECT, _CONNECTION)
        job = self._await(int(started["id"]))
        show(title, job)
        if job["state"] not in GOOD or job["state"] == "skipped":
            raise HubError(
                f"{title} ended {job['state']}: {job.get('error_text') or 'no reason was kept'}",
                hint=str(job.get("error_hint") or ""), code=str(job.get("error_code") or ""),
            )  # fmt: skip
        compare(title, job, expected)

    def _await(self, job_id: int) -> dict[str, Any]:
        """Poll the job, saying each stage once and restarting whatever dies meanwhile."""
        deadline, told = time.monotonic() + _RUN_S, ""
        while time.monotonic() < deadline:
            job = self._hub.job(job_id)
            if job["state"] in ENDED:
                return job
            now = job.get("stage") or job["state"]
            if now != told:
                tell(f"  {now}")
                told = now
            self._shutdown.sleep(0.5)
            self._revive()
        raise HubError(
            f"Run {job_id} did not end within {_RUN_S:.0f} s; it is at {told}.",
            hint=f"Look at the task's log in Airflow and at {self._state.logs / 'scheduler.log'}.",
        )


def demo_rule(now: datetime) -> dict[str, Any]:
    """Everything once, then changes, daily from half a day after `now` (aware UTC): the demo's own runs stay the only ones."""
    return {
        "schedule": {"cron": f"{now.minute} {(now.hour + 12) % 24} * * *"},
        "syncMode": "delta",
        "initialSyncMode": "full_once",
    }
