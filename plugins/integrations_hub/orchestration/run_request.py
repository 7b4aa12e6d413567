"""Airflow's context of a Dag run, read as the request for a run."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGERS = {"scheduled": "scheduled", "backfill": "backfill"}


def run_request(context: Context, rule_id: int | None) -> RunRequest:
    """Who asks for a run and how; without `rule_id` the params name connection and object (hub__on_demand).

    A backfill's window is its data interval: it wins over the params, which are the same for all its runs.
    """
    dag_run = context["dag_run"]
    params: dict[str, Any] = dict(context["params"])
    trigger = _TRIGGERS.get(str(getattr(dag_run.run_type, "value", dag_run.run_type)), "manual")
    since, until = _instant(params, "since"), _instant(params, "until")
    if trigger == "backfill":
        since, until = dag_run.data_interval_start, dag_run.data_interval_end
        params["mode"] = "window"
    if rule_id is None:
        trigger, rule_id = "on_demand", _named_rule(params)
    return RunRequest(
        dag_id=dag_run.dag_id,
        dag_run_id=dag_run.run_id,
        rule_id=rule_id,
        trigger=trigger,
        params={**params, "since": _text(since), "until": _text(until)},
        since=since,
        until=until,
        requested_by=dag_run.triggering_user_name,
    )


def _instant(params: dict[str, Any], name: str) -> datetime | None:
    text = params.get(name)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise ConfigurationError(
            f"The param {name} is {text!r}; expected an instant.",
            hint="Write it as 2026-11-01T00:00:00Z.",
            code="WINDOW_INVALID",
        ) from error
    return instant.replace(tzinfo=instant.tzinfo or timezone.utc).astimezone(timezone.utc)


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _named_rule(params: dict[str, Any]) -> int:
    from integrations_hub.orchestration.hub_database import task_database
    from integrations_hub.store.connections import PostgresConnectionStore
    from integrations_hub.store.rules import PostgresRuleStore

    provider, key, obj = (str(params[name]) for name in ("provider", "connection", "object"))
    database = task_database()
    try:
        connection = PostgresConnectionStore(database).get(provider, key)
        rule = PostgresRuleStore(database).find(connection.id, obj)
    finally:
        database.close()
    if rule is None:
        raise ConfigurationError(
            f"{connection.conn_id} has no rule for {obj}.",
            hint="Save a rule for it in the Hub; it may stay disabled.",
            code="RULE_MISSING",
        )
    return rule.id
