"""The product from end to end: real scheduler, a real task process per stage, real OAuth redirect, the bridge."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations_hub.cli.state import State, remove_state
from tests.kit.hub_process import HubProcess, hub, left_behind

pytestmark = pytest.mark.real_airflow


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    remove_state(State(folder))


def counts(stdout: str, label: str) -> list[int]:
    """The same row of each run's summary, in order."""
    return [int(found) for found in re.findall(rf"{label}\s*│\s*(\d+)", stdout)]


def test_three_runs_and_again_with_the_living_grant(state: Path) -> None:
    first = hub(state, "demo", "--once", "--port", "0")
    assert first.returncode == 0, first.stdout + first.stderr
    assert counts(first.stdout, "created") == [117, 0, 0]
    assert counts(first.stdout, "updated") == [0, 0, 3]
    assert counts(first.stdout, "children skipped")[0] == 900
    assert counts(first.stdout, "rejected")[0] == 3
    assert left_behind(state) == []

    again = hub(state, "demo", "--once", "--port", "0")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "OAuth consent" not in again.stderr
    assert counts(again.stdout, "created") == [0, 0, 0]
    assert counts(again.stdout, "updated") == [0, 0, 3]
    assert left_behind(state) == []


@pytest.mark.deep
@pytest.mark.parametrize("moment", ["OAuth consent", "Enabling it", "fetch", "Changing 3 roots"])
def test_ctrl_c_in_the_middle_and_the_next_demo_is_right(state: Path, moment: str) -> None:
    with HubProcess(state, "demo", "--once", "--port", "0") as process:
        process.wait_for(moment)
        assert process.stop(signal.SIGINT) == 130
        assert "Traceback" not in "".join(process.lines)
    assert left_behind(state) == []
    done = hub(state, "demo", "--once", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout, "updated")[-1] == 3
    assert left_behind(state) == []
