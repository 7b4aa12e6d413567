"""The six tasks of a Hub Dag: each calls one stage of `integrations_hub.sync` and translates how it ended."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from integrations_hub.domain.run import WRITTEN
from integrations_hub.errors import HubError, RunMustWait, TransientError
from integrations_hub.orchestration.retry_policy import Fate, HubRetryPolicy, fate_of

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

SHORTEST_WAIT_S = 15.0  # 5 s steps failed 7 of 19 under a real scheduler: a late executor event hits the requeued task
LONGEST_RETRY_AFTER_S = 60.0
_HOUR = timedelta(hours=1)

DOCS = {
    "plan": "Refuses, waits or goes on: takes the lease of the connection and object, pins rule revision and mapping, computes the window.",
    "fetch": "Pages through the provider within the shared request budget; each page is one transaction, a retry resumes after the last page.",
    "filter_parents": "Keeps top-level records, counts the children that are left out.",
    "map_fields": "Compares mapped values with the local rows: this is the plan of changes. A dry run ends here.",
    "upsert": "Applies the plan of changes in chunks, one transaction each; unchanged rows are not touched.",
    "finish": "Moves the high-water mark, writes the run's summary, gives the lease back; fails when the run failed.",
}


class StageTask(BaseOperator):
    """One stage of a run. Returns counts below 1 kB; between tasks travels the run id only.

    Any try may be killed or repeated: the stages are written for that (fence, ledgers), not this class.
    """

    ui_color = "#e6eef7"

    def __init__(self, *, stage: str, rule_id: int | None = None, **kwargs: Any) -> None:
        super().__init__(
            task_id=stage,
            retries=3,
            retry_delay=timedelta(seconds=5),  # for killed processes; errors name their own delay
            retry_policy=HubRetryPolicy(),
            execution_timeout=6 * _HOUR if stage == "fetch" else _HOUR,
            doc_md=DOCS[stage],
            **kwargs,
        )
        self.stage = stage
        self.rule_id = rule_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the stage. Airflow sees a translated exception when it ends otherwise."""
        try:
            summary = self._run(context)
            if self.stage == "upsert":
                self._tell_assets(context, summary["run_id"])
        except HubError as error:
            translate(error, self.stage)
        return summary

    def _run(self, context: Context) -> dict[str, Any]:
        from integrations_hub import sync_wiring
        from integrations_hub.orchestration.hub_database import served_connection, task_database
        from integrations_hub.orchestration.run_request import run_request

        with sync_wiring.stages(
            open_database=task_database, lookup=served_connection, environ=os.environ
        ) as stages:
            if self.stage == "plan":
                return {"run_id": stages.plan(run_request(context, self.rule_id))}
            run_id = self._planned_run(context)
            summary: dict[str, Any] = getattr(stages, self.stage)(run_id)
            return {"run_id": run_id, **summary}

    def _planned_run(self, context: Context) -> int:
        planned = context["ti"].xcom_pull(task_ids="plan")
        if not isinstance(planned, dict) or "run_id" not in planned:
            raise AirflowFailException(
                f"{self.stage}: the task plan left no run id; clear the whole Dag run to start again."
            )
        return int(planned["run_id"])

    def _tell_assets(self, context: Context, run_id: int) -> None:
        """An asset event means that rows were written, so a run that wrote none has no outlet."""
        written = self._written(run_id)
        if not any(written.values()):
            self.outlets = []
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {"run_id": run_id, **written}

    def _written(self, run_id: int) -> dict[str, int]:
        """Rows of all tries: a try that was killed may have written what this one only found done."""
        from integrations_hub.orchestration.hub_database import task_database
        from integrations_hub.store.runs import PostgresRunStore

        database = task_database()
        try:
            run = PostgresRunStore(database).get(run_id)
        finally:
            database.close()
        return {name: getattr(run, name) for name in WRITTEN}


def translate(error: HubError, stage: str) -> NoReturn:
    """Raise what Airflow understands: the only place that turns our errors into Airflow's."""
    fate = fate_of(error)
    said = f"{error.code}: {error.message} {error.hint}"
    if isinstance(error, RunMustWait):
        raise _come_back(error.seconds) from error
    if isinstance(error, TransientError):
        if stage == "fetch" and (error.retry_after_s or 0) > LONGEST_RETRY_AFTER_S:
            log.info("task_waits retry_after_s=%s %s", error.retry_after_s, said)
            raise _come_back(error.retry_after_s or 0) from error
        raise error
    if fate is Fate.SKIP and stage == "plan":
        raise AirflowSkipException(said) from error
    raise AirflowFailException(said) from error


def _come_back(seconds: float) -> AirflowRescheduleException:
    wait = timedelta(seconds=max(SHORTEST_WAIT_S, seconds))
    return AirflowRescheduleException(datetime.now(timezone.utc) + wait)  # type: ignore[no-untyped-call]
