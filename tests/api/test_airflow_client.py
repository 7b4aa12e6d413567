"""The calls to Airflow: what is sent fits Airflow's own contract, and its traps are known."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI, Request
from jsonschema import Draft202012Validator

from bridge_api.airflow_client import AirflowTransport, HttpAirflowClient
from bridge_api.deps import airflow as airflow_dependency
from integrations_hub.errors import (
    ConfigurationError,
    Forbidden,
    HubError,
    NotFound,
    NotSignedIn,
    TransientError,
)
from tests.kit.bridge import ADMIN, BridgeKit


@cache
def contract() -> dict[str, Any]:
    (folder,) = find_spec("airflow.api_fastapi.core_api.openapi").submodule_search_locations  # type: ignore[union-attr, misc]
    text = (Path(folder) / "v2-rest-api-generated.yaml").read_text("utf-8")
    return dict(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def operation(method: str, path: str) -> dict[str, Any]:
    for template, methods in contract()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if method.lower() in methods and re.fullmatch(pattern, path):
            return dict(methods[method.lower()])
    raise AssertionError(f"Airflow has no {method} {path}")


class Airflow:
    """Answers by (method, path), 404 otherwise; every request is judged by Airflow's own contract."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.seen: list[tuple[str, Any]] = []

    def send(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer t"
        path = request.url.path
        found = operation(request.method, path)
        body = json.loads(request.content) if request.content else None
        if "requestBody" in found:
            schema = found["requestBody"]["content"]["application/json"]["schema"]
            Draft202012Validator({**schema, "components": contract()["components"]}).validate(body)
        else:
            assert body is None
        name = f"{request.method} {path.removeprefix('/api/v2')}"
        self.seen.append((name, body))
        answer = self.answers.get(name, (404, {"detail": "not found"}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=content)

    def client(self) -> HttpAirflowClient:
        return HttpAirflowClient("http://airflow", {"authorization": "Bearer t"}, self.send)

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


def test_a_missing_pool_is_made_and_an_existing_one_keeps_its_slots() -> None:
    there = Airflow(**{"GET /pools/hub_a_b": {"name": "hub_a_b", "slots": 1}})
    there.client().ensure_pool("hub_a_b", 5, "text")
    assert there.names() == ["GET /pools/hub_a_b"]
    missing = Airflow(**{"POST /pools": (409, {"detail": "somebody was faster"})})
    missing.client().ensure_pool("hub_a_b", 5, "text")
    assert missing.seen[-1] == (
        "POST /pools",
        {"name": "hub_a_b", "slots": 5, "description": "text", "include_deferred": False},
    )


def test_a_connection_row_is_made_or_mended_without_what_people_added() -> None:
    missing = Airflow(**{"POST /connections": (201, {})})
    missing.client().upsert_connection("hub_a_b", conn_type="a", description="d")
    assert missing.seen[-1][1] == {"connection_id": "hub_a_b", "conn_type": "a", "description": "d"}
    same = Airflow(
        **{
            "GET /connections/hub_a_b": {
                "connection_id": "hub_a_b",
                "conn_type": "a",
                "description": "d",
            }
        }
    )
    same.client().upsert_connection("hub_a_b", conn_type="a", description="d")
    assert same.names() == ["GET /connections/hub_a_b"]
    old = Airflow(
        **{
            "GET /connections/hub_a_b": {"connection_id": "hub_a_b", "conn_type": "x"},
            "PATCH /connections/hub_a_b": {},
        }
    )
    old.client().upsert_connection("hub_a_b", conn_type="a", description="d")
    assert old.names()[-1] == "PATCH /connections/hub_a_b"


def test_a_pending_parse_is_as_good_as_ours() -> None:
    for status in (201, 409, 404):
        hub = Airflow(
            **{
                "GET /dags/hub__housekeeping": {"file_token": "a.b-c_d"},
                "PUT /parseDagFile/a.b-c_d": (status, None),
            }
        )
        hub.client().reparse()
        assert hub.names()[-1] == "PUT /parseDagFile/a.b-c_d"
    unparsed = Airflow()
    unparsed.client().reparse()
    assert unparsed.names() == ["GET /dags/hub__housekeeping"]


def test_a_dag_is_there_when_its_revision_is_and_it_is_not_stale() -> None:
    tags = {"tags": [{"name": "rev:2"}, {"name": "hub"}]}
    hub = Airflow(
        **{
            "GET /dags/d": [
                (404, {}),
                {"tags": [{"name": "rev:1"}]},
                {**tags, "is_stale": True},
                {**tags, "is_stale": False},
            ]
        }
    )
    assert hub.client().wait_for_dag("d", "rev:2", timeout_s=30) is True
    assert len(hub.seen) == 4
    assert Airflow().client().wait_for_dag("d", "rev:2", timeout_s=0) is False


def test_pausing_an_unknown_dag_is_no_error() -> None:
    assert Airflow().client().set_paused("d", True) is False
    assert Airflow(**{"PATCH /dags/d": {}}).client().set_paused("d", False) is True


def test_a_dag_run_is_made_once() -> None:
    for status, new in ((200, True), (409, False)):
        hub = Airflow(**{"POST /dags/d/dagRuns": (status, {})})
        assert hub.client().trigger("d", "hub__7", {"mode": "full"}) is new
        assert hub.seen[-1][1] == {
            "dag_run_id": "hub__7",
            "logical_date": None,
            "conf": {"mode": "full"},
        }
    with pytest.raises(NotFound):
        Airflow().client().trigger("d", "hub__7", {})


@pytest.mark.parametrize(
    ("state", "patched"),
    [("running", True), ("queued", True), ("success", False), ("failed", False)],
)
def test_only_an_active_run_is_failed(state: str, patched: bool) -> None:
    hub = Airflow(
        **{
            "GET /dags/d/dagRuns/hub__7": {"state": state},
            "PATCH /dags/d/dagRuns/hub__7": {"state": "failed"},
        }
    )
    assert hub.client().fail_run("d", "hub__7") is True
    assert ("PATCH /dags/d/dagRuns/hub__7" in hub.names()) is patched
    assert Airflow().client().fail_run("d", "hub__7") is False


def test_every_active_run_of_a_dag_is_failed() -> None:
    hub = Airflow(
        **{
            "GET /dags/d/dagRuns": {"dag_runs": [{"dag_run_id": "a"}, {"dag_run_id": "b"}]},
            "GET /dags/d/dagRuns/a": {"state": "running"},
            "GET /dags/d/dagRuns/b": {"state": "queued"},
            "PATCH /dags/d/dagRuns/a": {},
            "PATCH /dags/d/dagRuns/b": {},
        }
    )
    assert hub.client().fail_active_runs("d") == 2
    assert [name for name in hub.names() if name.startswith("PATCH")] == [
        "PATCH /dags/d/dagRuns/a",
        "PATCH /dags/d/dagRuns/b",
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, NotSignedIn),
        (403, Forbidden),
        (400, ConfigurationError),
        (422, ConfigurationError),
        (500, TransientError),
        (429, TransientError),
    ],
)
def test_a_refusal_is_an_error_of_the_hub(status: int, kind: type[HubError]) -> None:
    hub = Airflow(**{"GET /monitor/health": (status, {"detail": "because " + "x" * 400})})
    with pytest.raises(kind) as caught:
        hub.client().health()
    assert len(caught.value.message) < 450


def test_an_api_server_that_is_away_is_told(bridge: BridgeKit) -> None:
    del bridge.app.dependency_overrides[airflow_dependency]
    found = bridge.call("GET", "/api/integrations/health").json()
    assert "gave no answer" in found["airflow"]["problem"]


def _airflow_in_process(seen: list[dict[str, str]]) -> FastAPI:
    app = FastAPI()

    @app.get("/api/v2/monitor/health")
    def health(
        request: Request,
    ) -> dict[str, Any]:  # on the server's own threads, as Airflow's routes are
        seen.append(dict(request.headers))
        return {
            name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "dag_processor")
        }

    return app


def test_only_the_callers_credential_and_request_id_travel(bridge: BridgeKit) -> None:
    seen: list[dict[str, str]] = []
    bridge.app.dependency_overrides[airflow_dependency] = AirflowTransport(
        _airflow_in_process(seen)
    ).client_for
    headers = {
        **ADMIN,
        "Cookie": "_token=admin",
        "X-Request-ID": "r-1",
        "Referer": "http://x",
        "X-Forwarded-For": "1.2.3.4",
    }
    assert (
        bridge.call("GET", "/api/integrations/health", headers=headers).json()["airflow"]["ok"]
        is True
    )
    assert seen == [
        {
            "host": "airflow",
            "authorization": "Bearer admin",
            "cookie": "_token=admin",
            "x-request-id": "r-1",
        }
    ]


def test_a_crowd_does_not_wait_for_itself(bridge: BridgeKit) -> None:
    """More requests than the server has threads, each of which asks Airflow in the same process."""
    target = AirflowTransport(_airflow_in_process([]))
    bridge.app.dependency_overrides[airflow_dependency] = target.client_for
    answers = bridge.calls(*[("GET", "/api/integrations/health", None, None, {})] * 60)
    assert {answer.json()["airflow"]["ok"] for answer in answers} == {True}


def test_a_connection_is_forgotten_row_first_and_twice_is_no_error() -> None:
    airflow = Airflow(**{"DELETE /connections/hub_bqe_acme": (204, None)})
    airflow.client().forget("hub_bqe_acme")
    assert airflow.names() == ["DELETE /connections/hub_bqe_acme", "DELETE /pools/hub_bqe_acme"]
