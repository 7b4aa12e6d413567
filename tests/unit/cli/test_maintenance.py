"""`hub maintenance`: one file, and a refusal when nobody would see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from integrations_hub.admin import maintenance
from integrations_hub.cli import doctor
from integrations_hub.cli.main import app
from integrations_hub.errors import MaintenanceMode, RunMustWait

RUN = CliRunner().invoke


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUB_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("HUB_MAINTENANCE", raising=False)
    return tmp_path


def test_on_status_off(state: Path) -> None:
    assert "Maintenance is off." in RUN(app, ["maintenance", "status"]).stdout
    assert RUN(app, ["maintenance", "on", "--reason", "a move"]).exit_code == 0
    told = json.loads(RUN(app, ["maintenance", "status", "--json"]).stdout)
    assert told == {"on": True, "reason": "a move", "file": str(state / "maintenance.lock")}
    environ = {"HUB_STATE_DIR": str(state)}
    with pytest.raises(MaintenanceMode, match="a move"):
        maintenance.refuse(environ)
    with pytest.raises(RunMustWait, match="a move"):
        maintenance.pause(environ)
    assert doctor.tell_maintenance({}, state).startswith("on: a move")
    assert RUN(app, ["maintenance", "off"]).stdout == "Maintenance is off.\n"
    maintenance.refuse(environ)
    maintenance.pause(environ)


def test_on_again_has_the_new_reason(state: Path) -> None:
    for reason in ("first", "second"):
        RUN(app, ["maintenance", "on", "--reason", reason])
    assert maintenance.reason({"HUB_STATE_DIR": str(state)}) == "second"


def test_off_says_that_the_environment_still_holds_it(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_MAINTENANCE", "true")
    assert "Maintenance is on: HUB_MAINTENANCE is set" in RUN(app, ["maintenance", "off"]).stdout


def test_a_folder_that_nobody_looks_into_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_STATE_DIR", str(state / "nowhere"))
    refused = RUN(app, ["maintenance", "on"])
    assert refused.exit_code == 1
    assert "no process of the Hub would see a lock file" in refused.stderr


def test_a_process_without_a_state_folder_obeys_the_setting_alone() -> None:
    assert maintenance.reason({}) is None
    assert maintenance.reason({"HUB_MAINTENANCE": "yes"}) == "HUB_MAINTENANCE is set"
