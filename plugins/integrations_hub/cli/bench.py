"""`hub bench sync`: the six stages in one process, without Airflow, against any API of a provider's shape."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from integrations_hub.domain.rule import Rule
    from integrations_hub.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Measure the sync engine.")
_BODY = {
    "schedule": {"every": {"minutes": 1440}},
    "syncMode": "delta",
    "initialSyncMode": "full_once",
    "includeSubprojects": False,
    "clientSyncPolicy": "preserve_local",
    "autoCreate": True,
    "dryRun": False,
}
_MODES = {"full": "full", "delta": "scheduled", "nochange": "full"}


@app.callback()
def bench() -> None:
    """Measure the sync engine."""


_DatabaseUrl = Annotated[str, typer.Option(help="An empty or earlier used Hub database.")]
_ApiUrl = Annotated[str, typer.Option(help="Base URL of the API, e.g. http://127.0.0.1:8000/api")]
_ProviderKey = Annotated[str, typer.Option(help="Provider key; default: the first one.")]


@app.command()
def prepare(
    api_url: _ApiUrl,
    database_url: _DatabaseUrl,
    pages_ahead: Annotated[int, typer.Option(help="Pages in flight in a full listing.")] = 4,
    provider: _ProviderKey = "",
) -> None:
    """Make the tables, a connection and a rule, none of which a sync makes; print the rule's id."""
    from integrations_hub import wiring
    from integrations_hub.store.database import Database
    from integrations_hub.store.migrate import upgrade

    upgrade(database_url)
    database = Database.from_url(database_url)
    rule = _prepare(
        database, provider or wiring.registry().list_providers()[0].key, api_url, pages_ahead
    )
    database.close()
    typer.echo(rule.id)


@app.command()
def sync(
    api_url: _ApiUrl,
    token: Annotated[str, typer.Option(help="Access token that the API takes.")],
    database_url: _DatabaseUrl,
    rule_id: Annotated[int, typer.Option(help="What `hub bench prepare` printed.")],
    mode: Annotated[str, typer.Option(help="full, delta or nochange")] = "full",
    page_size: Annotated[int, typer.Option(help="Records per page.")] = 1000,
    provider: _ProviderKey = "",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Run one sync and print how long each stage took, rows, requests and the time to import."""
    if mode not in _MODES:
        raise typer.BadParameter(
            f"'{mode}'; expected one of {', '.join(_MODES)}", param_hint="--mode"
        )
    started = time.perf_counter()
    from integrations_hub import sync_wiring, wiring
    from integrations_hub.domain.connection import ServedConnection
    from integrations_hub.domain.run import RunRequest
    from integrations_hub.store.database import Database

    key = provider or wiring.registry().list_providers()[0].key
    prefix = wiring.registry().get_provider(key).oauth.env_prefix
    environ = {**os.environ, f"{prefix}_ALLOWED_HOSTS": urlsplit(api_url).hostname or ""}
    imported = time.perf_counter()

    def lookup(provider_key: str, connection_key: str) -> ServedConnection:
        return ServedConnection("ready", provider_key, connection_key, token, 1, api_url)

    request = RunRequest(
        dag_id="bench",
        dag_run_id=f"bench-{time.time_ns()}",
        rule_id=rule_id,
        trigger="manual",
        params={"mode": _MODES[mode]},
    )
    begun, cpu = time.perf_counter(), time.process_time()
    seconds: dict[str, float] = {}
    with sync_wiring.stages(
        open_database=lambda: Database.from_url(database_url),
        lookup=lookup,
        environ=environ,
        page_size=page_size,
    ) as stages:
        run_id = _timed(seconds, "plan", lambda: stages.plan(request))
        for name in ("fetch", "filter_parents", "map_fields", "upsert", "finish"):
            summary = _timed(seconds, name, partial(getattr(stages, name), run_id))
    figures = {
        "mode": mode,
        "import_s": round(imported - started, 3),
        "work_s": round(time.perf_counter() - begun, 3),
        "work_cpu_s": round(time.process_time() - cpu, 3),
        "stages_s": seconds,
        "rows": summary["records"],
        "written": summary["created"] + summary["updated"],
        "rejected": summary["rejected"],
        "children": summary["children"],
        "requests": summary["requests"],
        "state": summary["state"],
        "max_rss_mb": _peak_mb(),
    }
    typer.echo(json.dumps(figures) if as_json else _table(figures))


def _prepare(database: Database, provider_key: str, api_url: str, pages_ahead: int) -> Rule:
    """A connection and rule named `bench`, no request limit worth the name, no server-side filter."""
    from integrations_hub.catalog.metadata import RateLimits
    from integrations_hub.domain.listing import FilterProbe
    from integrations_hub.errors import NotFound
    from integrations_hub.ports.connections import ConnectionValues
    from integrations_hub.ports.credentials import Sealed
    from integrations_hub.store.budget import BudgetStore
    from integrations_hub.store.connections import PostgresConnectionStore
    from integrations_hub.store.rules import PostgresRuleStore
    from integrations_hub.store.tokens import PostgresTokenStore

    connections, rules = PostgresConnectionStore(database), PostgresRuleStore(database)
    try:
        connection = connections.get(provider_key, "bench")
    except NotFound:
        connection = connections.create(
            provider_key=provider_key,
            key="bench",
            label="Benchmark",
            environment="production",
            actor="bench",
            request_id=None,
            values=ConnectionValues(limits={"maxConcurrentPerConnection": pages_ahead}),
        )
        PostgresTokenStore(database).save_connected(
            connection.id,
            Sealed("bench", b""),
            expires_in_s=86_400,
            api_base_url=api_url,
            company_id="bench",
            actor="bench",
            request_id=None,
        )
        connections.save_probe(connection.id, "projects", FilterProbe(False, "off in benchmarks"))
    BudgetStore(database).publish_limits(
        provider_key, RateLimits(1_000_000, 1_000_000, pages_ahead, 1_000_000)
    )
    rule = rules.find(connection.id, "projects")
    if rule is None:
        rule = rules.save(
            connection_id=connection.id,
            object_key="projects",
            body=_BODY,
            actor="bench",
            request_id=None,
            expected_revision=None,
        )
    return rules.set_enabled(rule.id, True, actor="bench", request_id=None)


def _timed(seconds: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    begun = time.perf_counter()
    result = call()
    seconds[name] = round(time.perf_counter() - begun, 3)
    return result


def _peak_mb() -> int:
    """Peak resident memory of this program in MB; getrusage would tell its parent's, too, when that was larger."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _table(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name:>12}  {value}" for name, value in figures.items())
