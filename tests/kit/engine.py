"""The six stages on a real database with a list in memory, driven one by one as Airflow would."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from integrations_hub import sync_wiring
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import RunFailed
from integrations_hub.ports.credentials import Sealed
from integrations_hub.ports.provider import ObjectClient
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.store.rules import PostgresRuleStore
from integrations_hub.store.runs import PostgresRunStore
from integrations_hub.store.tokens import PostgresTokenStore

BODY: dict[str, Any] = {
    "schedule": {"every": {"minutes": 15}},
    "syncMode": "delta",
    "initialSyncMode": "full_once",
    "includeSubprojects": False,
    "clientSyncPolicy": "preserve_local",
    "autoCreate": True,
    "dryRun": False,
}
STAGES = ("fetch", "filter_parents", "map_fields", "upsert")


class _NoHttp:
    """Requests are counted by the list itself."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def requests(self) -> int:
        return int(self._client.requests)


class Engine:
    """One connection with one enabled rule; `stages()` is a fresh process's view of the stages."""

    def __init__(
        self, url: str, client: ObjectClient, *, page_size: int = 10, **options: Any
    ) -> None:
        self.url, self.client, self.page_size = url, client, page_size
        self._open = ExitStack()
        self.database = Database.from_url(url)
        self.connection = self._connect()
        self.rule = self._rule({**BODY, **options})
        self.runs = PostgresRunStore(self.database)
        self._started = 0

    def _connect(self) -> Connection:
        connection = PostgresConnectionStore(self.database).create(
            provider_key="bqe",
            key="acme",
            label="Acme",
            environment="production",
            actor="t",
            request_id=None,
        )
        return PostgresTokenStore(self.database).save_connected(
            connection.id,
            Sealed("none", b""),
            expires_in_s=3600,
            api_base_url="http://127.0.0.1:9/api",
            company_id="company-a",
            actor="t",
            request_id=None,
        )

    def _rule(self, body: dict[str, Any]) -> Rule:
        rules = PostgresRuleStore(self.database)
        rule = rules.save(
            connection_id=self.connection.id,
            object_key="projects",
            body=body,
            actor="t",
            request_id=None,
            expected_revision=None,
        )
        return rules.set_enabled(rule.id, True, actor="t", request_id=None)

    def change_rule(self, **options: Any) -> None:
        """A new revision of the rule, with these options changed."""
        self.rule = self._rule({**self.rule.body, **options})

    def stages(self) -> sync_wiring.Stages:
        """Stages on their own database sessions."""
        return open_stages(self._open, self.url, self.client, self.page_size)

    def request(self, trigger: str = "scheduled", **params: Any) -> RunRequest:
        """A new Dag run's request."""
        self._started += 1
        window = {name: params.pop(name) for name in ("since", "until") if name in params}
        return RunRequest(
            dag_id=self.rule.dag_id,
            dag_run_id=f"dag-run-{self._started}",
            rule_id=self.rule.id,
            trigger=trigger,
            params=params,
            **window,
        )

    def adopted(self, job: dict[str, Any]) -> RunRequest:
        """The request as Airflow hands it on for a job that was asked for over HTTP."""
        return RunRequest(
            dag_id=job["dag_id"],
            dag_run_id=job["dag_run_id"],
            rule_id=job["rule_id"],
            trigger="manual",
            params=job["params"],
        )

    def run(self, trigger: str = "scheduled", **params: Any) -> dict[str, Any]:
        """A whole run, each stage on sessions of its own; returns the run row as a dict."""
        if hasattr(self.client, "requests"):
            self.client.requests = 0
        run_id = self.stages().plan(self.request(trigger, **params))
        return self.finish_from(run_id, 0)

    def finish_from(self, run_id: int, first_stage: int) -> dict[str, Any]:
        """The stages from `first_stage` on, then finish (which runs after a failure, too)."""
        for name in STAGES[first_stage:]:
            try:
                getattr(self.stages(), name)(run_id)
            except Exception as error:  # noqa: BLE001 - Airflow goes on to the teardown as well
                self.last_error = error
                break
        try:
            self.stages().finish(run_id)
        except RunFailed as failed:
            self.last_error = failed
        return self.row("SELECT * FROM hub.integration_run WHERE id = %(id)s", id=run_id)

    def row(self, sql: str, **params: Any) -> dict[str, Any]:
        """One row."""
        found = self.database.row(sql, params)
        assert found is not None
        return found

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """All rows."""
        return self.database.rows(sql, params)

    def projects(self) -> dict[str, dict[str, Any]]:
        """Projects by external id."""
        sql = (
            "SELECT l.external_id, p.* FROM hub.projects p JOIN hub.integration_external_link l "
            "ON l.local_id = p.id AND l.local_entity = 'project'"
        )
        return {row["external_id"]: row for row in self.rows(sql)}

    def mark(self) -> Any:
        """The high-water mark."""
        rows = self.rows("SELECT mark FROM hub.integration_state")
        return rows[0]["mark"] if rows else None

    def close(self) -> None:
        """Close every session."""
        self._open.close()
        self.database.close()


def open_stages(
    opened: ExitStack, url: str, client: ObjectClient, page_size: int
) -> sync_wiring.Stages:
    """The stages of production with this list in the provider's place; `opened` closes their sessions."""
    made = opened.enter_context(
        sync_wiring.stages(
            open_database=lambda: Database.from_url(url),
            lookup=_never,
            environ={"INTEGRATIONS_ENABLED": "true"},
            page_size=page_size,
        )
    )
    fetch = replace(made._fetch, http_for=lambda *_: _NoHttp(client), client_for=lambda *_: client)
    return replace(made, _fetch=fetch)


def _never(provider_key: str, connection_key: str) -> Any:
    raise AssertionError(f"{provider_key}/{connection_key} was looked up")


def truth(client: Any) -> dict[str, tuple[Any, ...]]:
    """What the projects must hold: external id -> (name, number, client)."""
    return {
        r["id"]: (r["name"], r["code"], r["client"])
        for r in client.records.values()
        if r["parentId"] is None
    }
