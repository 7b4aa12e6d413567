"""Real Airflow, real kills: the database ends as after an uninterrupted run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit.stack import RunningHub

pytestmark = pytest.mark.real_airflow

# where the task process is killed: once in each of the six stages, and at further places in the long count
PLACES = [
    "lease_acquired",
    "before_commit",
    "filter_parents_entered",
    "map_fields_entered",
    "chunk_after_commit",
    "before_finish",
]
FURTHER = [
    "run_started",
    "fetch_entered",
    "after_commit",
    "mid_map",
    "chunk_before_commit",
    "finished",
]


@pytest.fixture(scope="module")
def hub() -> Iterator[RunningHub]:
    """One stack for the whole module; each test starts from an empty Hub."""
    with (
        tempfile.TemporaryDirectory(prefix="hub-kills-") as folder,
        RunningHub(Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def undisturbed(hub: RunningHub) -> dict[str, Any]:
    """What an uninterrupted first run leaves."""
    job = hub.run()
    truth = hub.sandbox.truth()
    assert job["state"] == "succeeded_with_rejects"
    assert (job["created"], job["children"], job["rejected"]) == (
        truth["loadable"],
        truth["children"],
        truth["rejected"],
    )
    return {"projects": hub.projects(), "job": job}


def _as_undisturbed(hub: RunningHub, job: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    assert job["state"] == "succeeded_with_rejects", job
    for count in ("created", "children", "rejected", "records"):
        assert job[count] == undisturbed["job"][count]
    assert hub.projects() == undisturbed["projects"]
    assert hub.rows("SELECT count(*) AS n FROM hub.projects")[0]["n"] == len(
        undisturbed["projects"]
    )
    assert (
        hub.rows("SELECT 1 AS x FROM hub.integration_lease WHERE expires_at > clock_timestamp()")
        == []
    )
    ledger = hub.rows("SELECT sum(created) AS n FROM hub.sync_chunk")[0]["n"]
    assert ledger == job["created"]


@pytest.mark.parametrize(
    "place", [*PLACES, *(pytest.param(place, marks=pytest.mark.deep) for place in FURTHER)]
)
def test_a_killed_task_process_is_retried_and_the_effect_is_once(
    hub: RunningHub, undisturbed: dict[str, Any], place: str
) -> None:
    hub.empty()
    hub.order(f"{place}:1:kill")
    job = hub.run()
    hub.order("")
    _as_undisturbed(hub, job, undisturbed)


def test_an_orphan_whose_supervisor_was_killed_writes_nothing_after_its_retry(
    hub: RunningHub, undisturbed: dict[str, Any]
) -> None:
    hub.empty()
    hub.order("upsert_entered:1:sleep")
    run_id = int(hub.client.run_now("projects", "acme")["id"])
    hub.wait(
        lambda: hub.rows("SELECT 1 AS x FROM hub.integration_lease WHERE stage = 'upsert'"),
        "upsert to begin",
    )
    orphan = hub.kill_supervisor_of_the_running_task()
    job = hub.ended(run_id)  # the retry passes the place a second time and goes on
    assert psutil.pid_exists(orphan), "the orphan should still sleep when its retry is done"
    before = hub.rows("SELECT chunk_no, fence FROM hub.sync_chunk ORDER BY chunk_no")
    hub.order("")  # wakes the orphan: it goes on with its outdated fence
    hub.wait(lambda: not _alive(orphan), "the orphan to end")
    assert hub.rows("SELECT chunk_no, fence FROM hub.sync_chunk ORDER BY chunk_no") == before
    _as_undisturbed(hub, hub.ended(run_id), undisturbed)
    assert job["created"] == len(undisturbed["projects"])


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
