"""`hub rules list` and `hub run show`: what the Hub knows, for a terminal or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from integrations_hub.cli.reporting import AsJson

if TYPE_CHECKING:
    from integrations_hub.domain.rule import Rule
    from integrations_hub.store.database import Database

rules = typer.Typer(no_args_is_help=True, help="Rules: what is synced.")
run = typer.Typer(no_args_is_help=True, help="Runs: what happened.")


@rules.callback()
def _rules() -> None:
    """Rules: what is synced."""


@run.callback()
def _run() -> None:
    """Runs: what happened."""


@rules.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """Every rule, enabled or not."""
    from integrations_hub.cli.hub_database import hub_database

    with hub_database() as database:
        found = list(_all_rules(database))
    if as_json:
        print(json.dumps([asdict(rule) | {"dag_id": rule.dag_id} for rule in found], default=str))
        return
    for rule in found:
        state = rule.hold_reason or ("enabled" if rule.enabled else "disabled")
        print(f"{rule.id:>5}  {rule.dag_id}  revision {rule.revision}  {state}")
    if not found:
        print("No rule is saved yet.")


@run.command("show")
def show(run_id: int, as_json: AsJson = False) -> None:
    """One run: state, counts, what went wrong and what to do."""
    from integrations_hub.cli.hub_database import hub_database
    from integrations_hub.store.runs import PostgresRunStore

    with hub_database() as database:
        found = PostgresRunStore(database).get(run_id)
    if as_json:
        print(json.dumps(asdict(found), default=str))
        return
    print(
        f"Run {found.id} of {found.dag_id}: {found.state}"
        + (f" ({found.stage})" if found.stage else "")
    )
    for name, count in found.counts().items():
        print(f"  {name:<12}{count:>9}")
    if found.error_text:
        print(f"{found.error_code}: {found.error_text}\nWhat to do: {found.error_hint}")


def _all_rules(database: Database) -> Iterator[Rule]:
    from integrations_hub import wiring
    from integrations_hub.store.connections import PostgresConnectionStore
    from integrations_hub.store.rules import PostgresRuleStore

    store = PostgresRuleStore(database)
    objects = {item.key: list(item.objects) for item in wiring.registry().list_providers()}
    for connection in PostgresConnectionStore(database).list():
        for object_key in objects.get(connection.provider_key, []):
            rule = store.find(connection.id, object_key)
            if rule is not None:
                yield rule
