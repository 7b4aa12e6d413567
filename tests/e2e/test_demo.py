"""`hub demo --once` as a person starts it, twice: real scheduler, tasks, OAuth redirect and bridge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.hub_process import hub, left_behind

pytestmark = pytest.mark.real_airflow


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder that is removed with all its data."""
    with tempfile.TemporaryDirectory(prefix="hub-demo-") as folder:
        path = Path(folder) / "state"
        yield path
        hub(path, "reset", "--yes")


def test_the_demo_runs_three_times_and_again_finds_nothing_to_do(state: Path) -> None:
    first = hub(state, "demo", "--once", "--port", "0")
    assert first.returncode == 0, first.stderr
    for line in ("Run 1: first sync", "Run 2: nothing changed", "Run 3: 3 roots changed"):
        assert line in first.stdout
    assert left_behind(state) == []
    second = hub(state, "demo", "--once", "--port", "0")
    assert second.returncode == 0, second.stderr
    assert "The connection of an earlier demo still lives." in second.stderr
    assert left_behind(state) == []
