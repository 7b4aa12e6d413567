"""The demo's steps against a Hub and a sandbox that are played by the test."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from integrations_hub.cli.demo import Demo
from integrations_hub.cli.demo_sandbox import DemoSandbox
from integrations_hub.cli.hub_client import HubClient
from integrations_hub.cli.shutdown import Shutdown, StopRequested
from integrations_hub.cli.state import State
from integrations_hub.domain.rule import Schedule
from integrations_hub.domain.schedule import next_run_after
from integrations_hub.errors import HubError

TRUTH = {"roots": 120, "children": 900, "rejected": 3, "loadable": 117}


class PlayedSandbox:
    touched = 0
    url = "http://127.0.0.1:7000"

    def truth(self) -> dict[str, int]:
        return TRUTH

    def touch(self, roots: int) -> None:
        self.touched += roots


class PlayedHub:
    """Syncs right: what is new is created, what was touched is updated."""

    def __init__(self, sandbox: PlayedSandbox) -> None:
        self.sandbox = sandbox
        self.calls: list[str] = []
        self.local = 0
        self.seen = 0
        self.state = "none"
        self.api = "http://127.0.0.1:7000/api"
        self.enabled = False
        self.end = "succeeded_with_rejects"
        self.lies: dict[str, int] = {}

    def close(self) -> None:
        self.calls.append("close")

    def log_in(self, user: str, password: str) -> None:
        assert user == "admin"
        assert password

    def connection(self, key: str) -> dict[str, Any] | None:
        if self.state == "none":
            return None
        return {"key": key, "state": self.state, "api_base_url": self.api}

    def create_connection(self, key: str, label: str, environment: str) -> dict[str, Any]:
        self.state = "new"
        return {}

    def authorise(self, key: str) -> None:
        self.calls.append("authorise")
        self.state, self.api = "connected", f"{self.sandbox.url}/api"

    def rule(self, object_key: str, connection: str) -> dict[str, Any] | None:
        return {"enabled": True} if self.enabled else None

    def save_rule(self, object_key: str, connection: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append("save")
        self.saved = body
        return {"enabled": False}

    def enable_rule(self, object_key: str, connection: str) -> dict[str, Any]:
        self.enabled = True
        return {}

    def run_now(self, object_key: str, connection: str) -> dict[str, Any]:
        self.calls.append("run")
        return {"id": len(self.calls)}

    def job(self, job_id: int) -> dict[str, Any]:
        created, updated = TRUTH["loadable"] - self.local, self.sandbox.touched - self.seen
        self.local, self.seen = TRUTH["loadable"], self.sandbox.touched
        counts = {"created": created, "updated": updated, "children": 900, "rejected": 3}
        return {"state": self.end, "stage": "finish", **counts, **self.lies}


@pytest.fixture
def sandbox() -> PlayedSandbox:
    return PlayedSandbox()


@pytest.fixture
def hub(sandbox: PlayedSandbox) -> PlayedHub:
    return PlayedHub(sandbox)


def demo(hub: PlayedHub, folder: Path, shutdown: Shutdown | None = None) -> Demo:
    return Demo(
        cast("HubClient", hub), State(folder), cast("DemoSandbox", hub.sandbox),
        shutdown or Shutdown(), lambda: None,
    )  # fmt: skip


def test_three_runs_equal_to_the_sandboxs_truth(hub: PlayedHub, tmp_path: Path) -> None:
    demo(hub, tmp_path).show()
    assert hub.calls == ["authorise", "save", "run", "run", "run", "close"]
    assert hub.sandbox.touched == 3


def test_no_scheduled_run_joins_in(hub: PlayedHub, tmp_path: Path) -> None:
    demo(hub, tmp_path).show()
    now = datetime.now(timezone.utc)
    scheduled = next_run_after(Schedule.from_body(hub.saved), "any", now)
    assert timedelta(hours=11) < scheduled - now < timedelta(hours=13)


def test_a_second_demo_meets_the_grant_and_the_data(hub: PlayedHub, tmp_path: Path) -> None:
    demo(hub, tmp_path).show()
    hub.calls.clear()
    demo(hub, tmp_path).show()
    assert hub.calls == ["run", "run", "run", "close"]


def test_a_sandbox_that_moved_is_connected_anew(hub: PlayedHub, tmp_path: Path) -> None:
    demo(hub, tmp_path).show()
    hub.calls.clear()
    hub.sandbox.url = "http://127.0.0.1:7001"
    demo(hub, tmp_path).show()
    assert hub.calls[0] == "authorise"


@pytest.mark.parametrize("lie", ["created", "updated", "children", "rejected"])
def test_a_count_that_differs_ends_the_demo(hub: PlayedHub, tmp_path: Path, lie: str) -> None:
    hub.lies = {lie: 1}
    with pytest.raises(HubError, match="does not match the sandbox"):
        demo(hub, tmp_path).show()
    assert hub.calls[-1] == "close"


@pytest.mark.parametrize("end", ["failed", "skipped", "incomplete", "lost"])
def test_a_run_that_did_not_succeed_ends_the_demo(hub: PlayedHub, tmp_path: Path, end: str) -> None:
    hub.end = end
    with pytest.raises(HubError, match=f"ended {end}"):
        demo(hub, tmp_path).show()


def test_a_demo_after_an_interrupted_one_catches_up(
    hub: PlayedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo(hub, tmp_path).show()
    State(tmp_path).note("demo.json", {"synced": "no"})  # killed between the change and run 3
    hub.sandbox.touch(3)
    demo(hub, tmp_path).show()
    assert "catches up" in capsys.readouterr().err


def test_a_consent_that_does_not_connect_is_an_error(hub: PlayedHub, tmp_path: Path) -> None:
    hub.authorise = lambda key: None  # type: ignore[method-assign]
    with pytest.raises(HubError, match="is new, not connected"):
        demo(hub, tmp_path).show()


def test_a_signal_ends_the_wait_for_a_run(hub: PlayedHub, tmp_path: Path) -> None:
    hub.end = "running"
    with Shutdown() as shutdown:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopRequested) as caught:
            demo(hub, tmp_path, shutdown).show()
    assert caught.value.exit_code == 130
