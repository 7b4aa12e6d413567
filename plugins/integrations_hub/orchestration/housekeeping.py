"""The task of the permanent housekeeping Dag."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from integrations_hub.orchestration.retry_policy import HubRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
_ALIVE = ["queued", "running"]


class HousekeepingTask(BaseOperator):
    """Ends runs whose Dag run has ended, purges what ended runs staged, tells the audit head, beats."""

    ui_color = "#f0f0f0"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            retries=1,
            retry_delay=timedelta(seconds=30),
            retry_policy=HubRetryPolicy(),
            execution_timeout=timedelta(minutes=4),
            **kwargs,
        )

    def execute(self, context: Context) -> dict[str, int]:
        """Counts of what was done, which are also the heartbeat's detail. Skipped in maintenance."""
        from integrations_hub.admin.maintenance import reason
        from integrations_hub.orchestration.hub_database import task_database
        from integrations_hub.store.housekeeping import HousekeepingStore, Retention

        why = reason(os.environ)
        if why is not None:
            raise AirflowSkipException(f"The Hub is in maintenance ({why}); nothing is written.")
        database = task_database()
        try:
            store = HousekeepingStore(database, retention=Retention.of(os.environ))
            lost = sum(
                store.close_lost(run.id)
                for run in store.silent_runs()
                # Airflow answers through the task's own API: a task has no access to Airflow's database
                if not context["ti"].get_dr_count(
                    dag_id=run.dag_id, run_ids=[run.dag_run_id], states=_ALIVE
                )
            )
            head = store.audit_head_to_tell()
            if head is not None:
                # outside the database: whoever rewrites the audit log there does not reach this line
                log.info("audit_head noted=%s", head)
            unknown = store.note_interrupted()
            done = {
                "lost": lost,
                "refreshes_unknown": unknown,
                **store.purge(),
            }
            store.beat("housekeeping", done)
            return done
        finally:
            database.close()
