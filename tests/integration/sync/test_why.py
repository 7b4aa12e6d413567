"""`why`: the explanation of every value replays to the value that is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations_hub.cli.main import app
from integrations_hub.domain.provenance import Explanation, explain
from integrations_hub.store.provenance import PostgresProvenanceStore
from tests.kit.fake_list import FakeList, portfolio, project


def _why(hub: Any, external_id: str) -> dict[str, Explanation]:
    store = PostgresProvenanceStore(hub.database)
    project_id = hub.projects()[external_id]["id"]
    steps = store.steps(project_id)
    return {name: explain(name, value, steps) for name, value in store.project(project_id).items()}


def test_every_value_names_who_gave_it(engine: Any) -> None:
    listed = FakeList(portfolio(4))
    hub = engine(listed)
    first = hub.run()
    listed.touch("p-00001", name="Renamed")
    second = hub.run()
    hub.database.execute("UPDATE hub.projects SET client = 'Ours' WHERE name = 'Renamed'")
    listed.touch("p-00001", client="Theirs")
    third = hub.run()
    why = _why(hub, "p-00001")
    assert (why["project_number"].run_id, why["project_number"].provider_field) == (
        first["id"],
        "code",
    )
    assert (why["name"].run_id, why["name"].value) == (second["id"], "Renamed")
    assert [old["value"] for old in why["name"].previous] == ["Project 1"]
    assert (why["client"].origin, why["client"].value, why["client"].provider_value) == (
        "person",
        "Ours",
        "Theirs",
    )
    assert (why["bqe_client_name"].run_id, why["bqe_client_name"].policy) == (third["id"], "follow")
    for column, found in why.items():
        assert found.value == _stored(hub, "p-00001", column)


def test_a_created_value_tells_what_the_provider_said(engine: Any) -> None:
    """Nothing that the mapping knows, of the status: it is the Hub's own."""
    hub = engine(FakeList([project(1, status=1), project(2, status=2)]))
    hub.run()
    unknown, known = _why(hub, "p-00001"), _why(hub, "p-00002")
    assert (unknown["status"].value, unknown["status"].provider_value) == ("active", None)
    assert (known["status"].value, known["status"].provider_value) == ("completed", "completed")
    for column in ("project_number", "name", "client", "notes", "bqe_client_name"):
        assert unknown[column].provider_value == _stored(hub, "p-00001", column)


def test_an_undone_value_names_the_undo(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", name="Renamed")
    run = hub.run()
    undo = hub.run(trigger="manual", undo_run_id=run["id"])
    found = _why(hub, "p-00001")["name"]
    assert (found.origin, found.run_id, found.value) == ("undo", undo["id"], "Project 1")


def test_a_plan_that_was_not_applied_explains_nothing(engine: Any) -> None:
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    first = hub.run()
    listed.touch("p-00001", name="Renamed")
    hub.run(dry_run=True)
    assert _why(hub, "p-00001")["name"].run_id == first["id"]


def _stored(hub: Any, external_id: str, column: str) -> Any:
    value = hub.projects()[external_id][column]
    return None if value is None else str(value)


def test_the_command_line_tells_it(
    engine: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    listed = FakeList(portfolio(2))
    hub = engine(listed)
    hub.run()
    listed.touch("p-00001", name="Renamed")
    run = hub.run()
    project = str(hub.projects()["p-00001"]["id"])
    call = CliRunner().invoke
    told = call(app, ["projects", "why", project, "name"]).stdout
    assert told.splitlines()[0].startswith(f"name: 'Renamed'. Run {run['id']} wrote it")
    assert "From name, 'Renamed'." in told
    assert "before: 'Project 1'" in told
    found = json.loads(call(app, ["projects", "why", project, "--json"]).stdout)
    assert [link["external_id"] for link in found["links"]] == ["p-00001"]
    assert {one["column"]: one["value"] for one in found["columns"]} == {
        name: _stored(hub, "p-00001", name) for name in (one["column"] for one in found["columns"])
    }
    unknown = call(app, ["projects", "why", project, "colour"])
    assert unknown.exit_code == 2
    assert "no column colour" in unknown.stderr
    gone = call(app, ["projects", "why", "999"])
    assert "PROJECT_UNKNOWN" in gone.stderr
