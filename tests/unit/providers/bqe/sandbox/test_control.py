"""Control: changes, faults, quota, recorder, clock, state file."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.bqe.sandbox.app import create_app
from providers.bqe.sandbox.people import fixed_id
from providers.bqe.sandbox.schema import ZERO_GUID
from providers.bqe.sandbox.state import Sandbox, SandboxConfig
from tests.kit.sandbox_app import SandboxApp

NOW = "2026-07-01T08:00:00.250"


@pytest.fixture
def app() -> SandboxApp:
    """A fresh sandbox."""
    return SandboxApp()


def test_control_is_absent_unless_asked_for() -> None:
    assert SandboxApp(control=False).call("GET", "/__control/truth").status_code == 404


def test_touch_renames_loadable_roots_and_stamps_them(app: SandboxApp) -> None:
    app.control("/clock", {"now": NOW})
    before = {row["id"]: row for row in app.every_project()}
    ids = app.control("/touch", {"roots": 3})["ids"]
    changed = app.projects(where=f"lastUpdated >= '{NOW}'", orderBy="lastUpdated asc")
    assert {row["id"] for row in changed} == set(ids)
    assert len(set(ids)) == 3
    for row in changed:
        assert row["parentId"] is None
        assert row["lastUpdated"] == "2026-07-01T08:00:00.25"
        assert row["name"] != before[row["id"]]["name"]
        assert row["version"] > before[row["id"]]["version"]
    again = app.control("/touch", {"ids": ids[:1]})["ids"]
    assert again == ids[:1]
    name = app.projects(where=f"id='{ids[0]}'")[0]["name"]
    assert name.count("(rev") == 1
    assert name not in {row["name"] for row in changed}


def test_updated_row_moves_to_the_end_of_the_default_order(app: SandboxApp) -> None:
    first, second = (row["id"] for row in app.projects(page="1,2"))
    app.control("/touch", {"ids": [first]})
    rows = app.every_project(fields="id")
    assert (rows[0]["id"], rows[-1]["id"]) == (second, first)


def test_mutations_change_the_truth(app: SandboxApp) -> None:
    roots = [row["id"] for row in app.projects(where="parentId is null")]
    before = app.control("/truth")
    done = app.control(
        "/mutate",
        {
            "updates": [
                {"id": roots[0], "set": {"parentId": roots[1]}},
                {"id": roots[2], "unset": ["parentId"]},
                {"id": roots[3], "set": {"name": None}, "silent": True},
            ],
            "insert": [{"name": "New", "code": "N-1"}, {"parentId": ZERO_GUID, "name": "Zero"}],
            "delete": [roots[4]],
        },
    )["ids"]
    assert done[:3] == [roots[0], roots[2], roots[3]]
    assert done[5] == roots[4]
    assert app.control("/truth") == {
        "roots": before["roots"],
        "children": before["children"] + 1,
        "rejected": before["rejected"] + 1,
        "loadable": before["loadable"] - 1,
    }
    assert "parentId" not in app.projects(where=f"id='{roots[2]}'")[0]
    gone = app.api("/deletedhistory", orderBy="deletedOn desc").json()[0]
    assert gone["entityId"] == roots[4]


def test_mutation_of_an_unknown_row_changes_nothing(app: SandboxApp) -> None:
    known = app.projects(page="1,1")[0]
    body = {"updates": [{"id": known["id"], "set": {"name": "x"}}, {"id": "none", "set": {}}]}
    assert app.call("POST", "/__control/mutate", json=body).status_code == 400
    assert app.projects(page="1,1", fields="name") == [{"name": known["name"]}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/switch", {"nothing": 1}),
        ("/switch", {"expires_in": "soon"}),
        ("/script", {"on": {"verb": "GET"}, "fault": {}}),
        ("/script", {"fault": {"explode": True}}),
        ("/script", {}),
        ("/clock", {"now": "noon"}),
        ("/touch", {"ids": ["none"]}),
    ],
)
def test_wrong_command_is_a_400_with_words(app: SandboxApp, path: str, body: Any) -> None:
    answer = app.call("POST", f"/__control{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_switches_are_set_all_or_none(app: SandboxApp) -> None:
    app.call("POST", "/__control/switch", json={"expires_in": 5, "nothing": 1})
    assert app.connect()["expires_in"] == 3600


def test_reset_brings_back_rows_and_switches(app: SandboxApp) -> None:
    before = app.projects(page="1,3", fields="id,name")
    tokens = app.connect()
    app.control("/touch", {"roots": 2})
    app.control("/switch", {"denied": ["client"]})
    app.control("/reset", {})
    assert app.projects(page="1,3", fields="id,name") == before
    assert app.api("/client").status_code == 200
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    app.control("/reset", {"grants": True})
    assert app.api("/client", tokens["access_token"]).status_code == 401


@pytest.mark.parametrize(
    ("what", "access", "refresh"),
    [({"access": True}, 401, 200), ({"grant": True}, 200, 400)],
)
def test_revoke(app: SandboxApp, what: dict[str, bool], access: int, refresh: int) -> None:
    tokens = app.connect()
    app.control("/revoke", what)
    assert app.api("/client", tokens["access_token"]).status_code == access
    assert app.refresh(tokens["refresh_token"]).status_code == refresh
    assert app.api("/client").status_code == 200


def test_quota_is_a_fixed_window_with_headers() -> None:
    app = SandboxApp(quota=True)
    app.control("/clock", {"now": "2026-07-01T08:00:00Z"})
    app.control("/switch", {"quota_per_minute": 2})
    answers = [app.api("/client", page="1,1") for _ in range(2)]
    assert [one.headers["x-rate-limit-remaining"] for one in answers] == ["1", "0"]
    assert answers[0].headers["x-rate-limit-limit"] == "1m"
    assert answers[0].headers["x-rate-limit-reset"].startswith("2026-07-01T08:01:00")
    app.control("/clock", {"now": "2026-07-01T08:00:30Z"})
    refused = app.api("/client")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert "try again in 30 seconds" in refused.text
    app.control("/clock", {"now": "2026-07-01T08:01:00Z"})
    assert app.api("/client").status_code == 200


@pytest.mark.parametrize(("scope", "status"), [("app", 429), ("company", 200)])
def test_quota_is_shared_by_the_app_or_by_the_company(scope: str, status: int) -> None:
    app = SandboxApp()
    other = app.connect(company="B")["access_token"]
    app.control("/switch", {"quota_per_minute": 1, "quota_scope": scope})
    assert app.api("/client").status_code == 200
    assert app.api("/client", other).status_code == status


def test_sliding_quota_frees_one_request_at_a_time() -> None:
    app = SandboxApp()
    app.control("/switch", {"quota_per_minute": 2, "quota_window": "sliding"})
    statuses = []
    for second in ("00:00", "00:50", "01:00", "01:01"):
        app.control("/clock", {"now": f"2026-07-01T08:{second}Z"})
        statuses.append(app.api("/client").status_code)
    assert statuses == [200, 200, 200, 429]


def test_default_quota_is_100_a_minute() -> None:
    app = SandboxApp(quota=True)
    app.control("/clock", {"now": "2026-07-01T08:00:00Z"})
    statuses = [app.api("/version").status_code for _ in range(3)]
    statuses += [app.api("/client", fields="id", page="1,1").status_code for _ in range(101)]
    assert (statuses.count(200), statuses.count(429)) == (103, 1)


def test_recorder_keeps_names_but_no_secret(app: SandboxApp) -> None:
    tokens = app.connect()
    app.refresh(tokens["refresh_token"])
    leak = {"access_token": tokens["access_token"]}
    app.api("/project", tokens["access_token"], where="status=0", page="1,5", **leak)
    recorded = app.call("GET", "/__control/requests")
    entries = recorded.json()
    assert [entry["path"].rsplit("/", 1)[1] for entry in entries] == [
        "authorize",
        "authorize",
        "token",
        "token",
        "project",
    ]
    assert entries[3]["grant_type"] == "refresh_token"
    assert "refresh_token" in entries[3]["body_keys"]
    last = entries[-1]
    assert last["params"] == {"where": "status=0", "page": "1,5", "access_token": "***"}
    assert (last["status"], last["host"]) == (200, "sandbox.test")
    assert "authorization" in last["headers"]
    assert len(last["client"]) == 12
    for name in ("access_token", "refresh_token", "id_token"):
        assert tokens[name] not in recorded.text
    assert "hub-sandbox-secret" not in recorded.text


def test_summary_counts_requests(app: SandboxApp) -> None:
    for _ in range(3):
        app.api("/project", page="1,1")
    app.api("/nothing")
    summary = app.control("/requests/summary")
    assert (summary["total"], summary["max_per_minute"], summary["max_in_flight"]) == (4, 4, 1)
    assert summary["by_path"] == {"GET /api/project": 3, "GET /api/nothing": 1}
    assert summary["by_status"] == {"200": 3, "404": 1}
    app.control("/requests/reset", {})
    assert app.control("/requests/summary")["total"] == 0


def test_delayed_answers_overlap() -> None:
    sandbox = Sandbox(SandboxConfig(quota=False, static_token="static", latency_ms=30))
    transport = httpx.ASGITransport(create_app(sandbox=sandbox))

    async def together() -> None:
        headers = {"Authorization": "Bearer static"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sandbox.test", headers=headers
        ) as client:
            await asyncio.gather(*(client.get("/api/client") for _ in range(5)))

    asyncio.run(together())
    assert sandbox.recorder.max_in_flight == 5
    assert min(entry.duration_ms for entry in sandbox.recorder.entries) >= 29


def test_restart_keeps_grants_changes_and_key(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sandbox.json"
    first = SandboxApp(state_file=path)
    tokens, code = first.connect(), first.code()
    first.control("/mutate", {"delete": [fixed_id("A", 7, "root", 1)], "insert": [{"name": "x"}]})
    ids = first.control("/touch", {"roots": 3})["ids"]
    order = first.every_project(fields="id,name")
    first.sandbox.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert not any(tokens[name] in text for name in ("access_token", "refresh_token"))

    second = SandboxApp(state_file=path)
    assert second.every_project(fields="id,name") == order
    assert order[-1]["id"] == ids[-1]
    assert second.api("/client", tokens["access_token"]).status_code == 200
    assert second.refresh(tokens["refresh_token"]).status_code == 200
    third = SandboxApp(state_file=path)  # tokens are on disk at once, without a save of ours
    assert third.refresh(tokens["refresh_token"]).json() == {"error": "invalid_grant"}

    assert second.exchange(code).status_code == 200
    jwks = "/idp/.well-known/openid-configuration/jwks"
    assert second.call("GET", jwks).json() == first.call("GET", jwks).json()


def test_changes_of_another_portfolio_are_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    first = SandboxApp(state_file=path)
    tokens = first.connect()
    first.control("/touch", {"roots": 1})
    first.sandbox.save()
    other = SandboxApp(state_file=path, records=50)
    assert other.projects(fields="count(*)") == [{"count": 50}]
    assert other.refresh(tokens["refresh_token"]).status_code == 200
