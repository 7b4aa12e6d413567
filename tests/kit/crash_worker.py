"""Processes that carry runs through their stages and may be killed or frozen at any moment.

`python -m tests.kit.crash_worker [variant]` stays warm and forks one real process per order: a JSON line
on standard input (`Order`), answered by the process id; `{"wait": pid}` is answered by its wait status.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from integrations_hub import failpoints, sync_wiring, wiring
from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import (
    HubError,
    RunFailed,
    RunLost,
    RunMustWait,
    RunRefused,
    TransientError,
)
from integrations_hub.sync import plan, stage
from tests.kit.crash_variants import VARIANTS
from tests.kit.engine import STAGES, open_stages
from tests.kit.file_list import FileList

DONE, AGAIN, LOST = 0, 3, 4  # exit codes; AGAIN: a try that Airflow would repeat
PAGE_SIZE, CHUNK_SIZE = 8, 4
WOKE = "woke:0:"  # a task that was frozen is an orphan now: it does not go on to the next one


@dataclass(frozen=True)
class Order:
    """One try of a Dag run's tasks, from where `progress` says; `only_finish`: the teardown alone.

    `lapses`: the lease has run out by the time that somebody else looks at it.
    """

    url: str
    source: str
    progress: str
    dag_id: str
    dag_run_id: str
    rule_id: int
    params: dict[str, Any] = field(default_factory=dict)
    failpoint: str = ""
    only_finish: bool = False
    lapses: bool = False


class CrashWorkers:
    """The warm process and what it forked."""

    def __init__(self, log: Path, variant: str = "") -> None:
        self._log = log.open("ab")
        command = [sys.executable, "-m", "tests.kit.crash_worker", *([variant] if variant else [])]
        self._warm = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "HUB_TESTING": "1"},
            cwd=Path(__file__).parents[2],
        )

    def start(self, order: Order) -> int:
        """The process id of a new process that carries it out."""
        return self._ask(asdict(order))

    def wait(self, pid: int) -> int | None:
        """The exit code; None when it was killed."""
        status = self._ask({"wait": pid})
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None

    def stop(self) -> None:
        """End the warm process."""
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.close()
        self._warm.wait(20)
        self._warm.stdout.close()
        self._log.close()

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.write(json.dumps(order).encode() + b"\n")
        self._warm.stdin.flush()
        return int(self._warm.stdout.readline())


def state_of(pid: int) -> str:
    """The kernel's letter for a process: T = frozen, Z = ended and not waited for."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return text.rpartition(")")[2].split()[0]


def until_still(pid: int) -> bool:
    """Wait until the process is frozen (True) or has ended (False)."""
    while True:
        if (state := state_of(pid)) in "TZ":
            return state == "T"
        time.sleep(0.002)


def main() -> None:
    """Serve orders until standard input ends."""
    if len(sys.argv) > 1:
        VARIANTS[sys.argv[1]]()
    as_shipped = failpoints._act

    def act(name: str, action: str, wanted: str) -> None:
        if action == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
            os.environ["HUB_FAILPOINT"] = WOKE
        else:
            as_shipped(name, action, wanted)

    failpoints._act = act
    wiring.registry()
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitpid(order["wait"], 0)[1]
        elif (answer := os.fork()) == 0:
            _child(Order(**order))
        os.write(1, f"{answer}\n".encode())


def _child(order: Order) -> None:
    code = 1
    try:
        code = _carry_out(order)
    except BaseException:  # noqa: BLE001 - the log of the worker is where a test's author looks
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _carry_out(order: Order) -> int:
    os.environ["HUB_FAILPOINT"] = order.failpoint
    if order.lapses:
        stage.STAGE_TTL_S = stage.BETWEEN_TTL_S = plan.STAGE_TTL_S = plan.BETWEEN_TTL_S = 0
    source = FileList(Path(order.source))
    source.asked_by(order.dag_run_id)
    try:
        with ExitStack() as opened:
            stages = open_stages(opened, order.url, source, PAGE_SIZE)
            stages = replace(stages, _upsert=replace(stages._upsert, chunk_size=CHUNK_SIZE))
            return _tasks(order, stages)
    except TransientError:
        return AGAIN


def _tasks(order: Order, stages: sync_wiring.Stages) -> int:
    """As Airflow: plan first, every stage by the run's id, finish also after a failure."""
    progress = Path(order.progress)
    if not progress.exists():
        request = RunRequest(
            dag_id=order.dag_id,
            dag_run_id=order.dag_run_id,
            rule_id=order.rule_id,
            trigger="scheduled",
            params=order.params,
        )
        try:
            run_id = stages.plan(request)
        except (RunRefused, RunMustWait):
            return DONE
        if os.environ["HUB_FAILPOINT"] == WOKE:
            return DONE
        _note(progress, run_id, 0)
    run_id, first = (int(part) for part in progress.read_text(encoding="utf-8").split())
    for number in range(first, len(STAGES) if not order.only_finish else 0):
        try:
            getattr(stages, STAGES[number])(run_id)
        except TransientError:
            raise
        except RunLost:
            return LOST
        except HubError:
            break
        if os.environ["HUB_FAILPOINT"] == WOKE:
            return DONE
        _note(progress, run_id, number + 1)
    with suppress(RunFailed, RunLost):
        stages.finish(run_id)
    return DONE


def _note(progress: Path, run_id: int, stage_number: int) -> None:
    beside = progress.with_suffix(".new")
    beside.write_text(f"{run_id} {stage_number}", encoding="utf-8")
    beside.replace(progress)


if __name__ == "__main__":
    main()
