"""What every stage begins and ends with: its own fence, its error on the run row, a lease that waits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from integrations_hub.domain.run import CANCELLED, Run
from integrations_hub.errors import HubError, RunLost, TransientError
from integrations_hub.failpoints import hit
from integrations_hub.ports.runs import RunStore
from integrations_hub.ports.sync import Fenced, SyncStore

log = logging.getLogger("integrations_hub.sync")

STAGE_TTL_S = 120  # while a stage works (trust.md 3.2)
BETWEEN_TTL_S = 900  # pool queue, scheduler restart
_LONGEST_HELD_WAIT_S = 300.0  # a longer wait leaves the lease to whoever comes first


@dataclass(frozen=True)
class Stage:
    """One try of one stage of one run; everything it writes goes through `write()`."""

    run: Run
    fence: int
    store: SyncStore

    def write(self) -> AbstractContextManager[Fenced]:
        """A fenced write transaction."""
        return self.store.fenced(self.run, self.fence, STAGE_TTL_S)

    def renew(self) -> None:
        """Keep the lease while nothing is written."""
        self.store.renew(self.run, self.fence, STAGE_TTL_S)

    def log(self, event: str, **fields: Any) -> None:
        """A structured line of the run's log: event in the past tense, then its fields."""
        details = " ".join(f"{name}={value}" for name, value in fields.items())
        log.info(
            "%s run_id=%s provider=%s object=%s connection_id=%s %s",
            event,
            self.run.id,
            self.run.provider_key,
            self.run.object_key,
            self.run.connection_id,
            details,
        )


@contextmanager
def enter(store: SyncStore, runs: RunStore, run_id: int, name: str) -> Iterator[Stage]:
    """Raise the fence for this try; on an error note it on the run row and let it through.

    Raises RunLost when the run has ended, was cancelled, or another run holds its lease; the last is
    closed as lost.
    """
    stage = begin(store, runs, run_id, name)
    run, fence = stage.run, stage.fence
    stage.log("stage_entered", stage=name, fence=fence)
    hit(f"{name}_entered")
    try:
        yield stage
        if name != "finish":
            store.renew(run, fence, BETWEEN_TTL_S)
    except RunLost:
        raise
    except HubError as error:
        store.note_error(run, fence, code=error.code, text=error.message, hint=error.hint)
        if isinstance(error, TransientError):
            _wait_with_lease(store, run, fence, error.retry_after_s or 0)
        raise
    except Exception as error:
        # its text may quote a record: only its type goes to the run row
        text = f"{name} met an unexpected {type(error).__name__}."
        store.note_error(run, fence, code="UNEXPECTED", text=text, hint=HubError.default_hint)
        raise
    stage.log("stage_left", stage=name)


def begin(store: SyncStore, runs: RunStore, run_id: int, name: str) -> Stage:
    """Raise the fence for this try of the stage. Raises RunLost as `enter` does."""
    entered = store.enter_stage(run_id, name, STAGE_TTL_S)
    if entered is None:
        raise _refused(runs, runs.get(run_id), name)
    return Stage(*entered, store)


def _refused(runs: RunStore, run: Run, name: str) -> RunLost:
    if run.ended:
        return RunLost(f"Run {run.id} has ended as {run.state}; stage {name} does nothing.")
    if run.error_code == CANCELLED and name != "finish":
        return RunLost(f"Run {run.id} was cancelled; stage {name} does nothing.", code=CANCELLED)
    lost = RunLost(f"Run {run.id} no longer holds the lease {run.lease_key}.")
    runs.close(run.id, "lost", code=lost.code, text=lost.message, hint=lost.hint)
    return lost


def _wait_with_lease(store: SyncStore, run: Run, fence: int, wait_s: float) -> None:
    """Keep the lease over the retry's delay; before a long one let it lapse, so that others may run."""
    held = wait_s <= _LONGEST_HELD_WAIT_S
    with suppress(HubError):  # the error that made us wait is the one to tell
        store.renew(run, fence, BETWEEN_TTL_S if held else 0)
