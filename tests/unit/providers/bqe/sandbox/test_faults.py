"""Scripted faults: which request they hit and what happens to it."""

from __future__ import annotations

from typing import Any

import pytest

from providers.bqe.sandbox.edge import DroppedConnectionError
from tests.kit.sandbox_app import SandboxApp


@pytest.fixture
def app() -> SandboxApp:
    """A fresh sandbox."""
    return SandboxApp()


def script(app: SandboxApp, fault: dict[str, Any], **on: Any) -> None:
    app.control("/script", {"on": {"path": "/api/project", **on}, "fault": fault})


def test_fault_hits_the_nth_matching_requests(app: SandboxApp) -> None:
    script(app, {"status": 503, "body": "<p>busy</p>"}, nth=2, count=2, contains="page=2")
    statuses = [app.api("/project", page=page).status_code for page in ("1,5", *["2,5"] * 4)]
    assert statuses == [200, 200, 503, 503, 200]


def test_fault_answers_with_status_headers_and_body(app: SandboxApp) -> None:
    script(app, {"status": 429, "headers": {"Retry-After": "7"}, "body": {"Key": "x"}}, count=-1)
    for _ in range(3):
        answer = app.api("/project")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json() == {"Key": "x"}
    assert app.api("/client").status_code == 200


def test_body_faults(app: SandboxApp) -> None:
    for nth, fault in enumerate(({"empty_204": True}, {"truncate": True}, {"page_repeat": True})):
        script(app, fault, contains="page=2", nth=nth + 1)
    first, whole = (app.api("/project", page=page, fields="id") for page in ("1,5", "3,5"))
    assert app.api("/project", page="2,5").status_code == 204
    cut = app.api("/project", page="2,5", fields="id")
    assert len(cut.content) == len(whole.content) // 2
    assert app.api("/project", page="2,5", fields="id").json() == first.json()


def test_rows_change_just_before_the_nth_page(app: SandboxApp) -> None:
    victims = [row["id"] for row in app.projects(page="1,3")]
    script(app, {"mutate_before": {"delete": victims}}, contains="page=2")
    assert len(app.projects(page="1,10")) == 10
    shifted = app.projects(page="2,10", fields="id")
    assert app.projects(fields="count(*)") == [{"count": 1017}]
    assert shifted == app.projects(page="2,10", fields="id")


def test_token_can_be_revoked_mid_run(app: SandboxApp) -> None:
    token = app.connect()["access_token"]
    script(app, {"revoke_before": {"access": True}}, nth=2)
    assert [app.api("/project", token).status_code for _ in range(2)] == [200, 401]


def test_lost_answer_has_rotated_the_token(app: SandboxApp) -> None:
    refresh = app.connect()["refresh_token"]
    lost = {"path": "/idp/connect/token", "contains": "grant_type=refresh_token"}
    app.control("/script", {"on": lost, "fault": {"lose_answer": True}})
    with pytest.raises(DroppedConnectionError):
        app.refresh(refresh)
    assert app.refresh(refresh).json() == {"error": "invalid_grant"}


def test_dropped_request_was_not_processed(app: SandboxApp) -> None:
    refresh = app.connect()["refresh_token"]
    app.control("/script", {"on": {"path": "/idp/*"}, "fault": {"drop": True}})
    with pytest.raises(DroppedConnectionError):
        app.refresh(refresh)
    assert app.refresh(refresh).status_code == 200
