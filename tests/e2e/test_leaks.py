"""Real Airflow at DEBUG: no secret and no personal data stand in any log, task log, table or answer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from integrations_hub.cli.state import ADMIN
from tests.kit.leaks import SEALED, Needles, in_database, in_files, stored_tokens
from tests.kit.personal import USED, plant
from tests.kit.stack import RunningHub

pytestmark = pytest.mark.real_airflow

WRONG_PLACE = "Zq7-posted-in-the-wrong-place"
FORGED = {"code": "forged-code-5581", "state": "forged.state-9022"}
# where secrets are kept on purpose, for one user of this machine only
_KEPT = r"/state/(secrets\.json|login\.json|postgres/)"
_API = "/hub/api/integrations/bqe"


@pytest.fixture(scope="module")
def hub() -> Iterator[RunningHub]:
    """The whole product, as loud as it gets."""
    with (
        tempfile.TemporaryDirectory(prefix="hub-leaks-") as folder,
        RunningHub(Path(folder), environ={"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}) as running,
    ):
        yield running


class Person:
    """An admin's requests; every answer is kept."""

    def __init__(self, hub: RunningHub) -> None:
        self._http = httpx.Client(base_url=hub.stack.settings.base_url, trust_env=False, timeout=60)
        login = {"username": ADMIN, "password": hub.state.admin_password()}
        self._bearer = self._http.post("/auth/token", json=login).json()["access_token"]
        self.answers: list[str] = []

    def ask(self, method: str, path: str, body: Any = None, **params: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._bearer}"}
        answer = self._http.request(method, path, json=body, params=params or None, headers=headers)
        self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def close(self) -> None:
        self._http.close()


def test_a_connections_life_leaves_no_secret_and_no_personal_data(hub: RunningHub) -> None:
    person = Person(hub)
    hub.run()
    hub.sandbox.control("POST", "/revoke", {"access": True})
    planted = plant(hub.sandbox)
    assert hub.run()["updated"] > 0  # a 401, then a refresh
    _provider_that_quotes_tokens(hub)
    _odd_requests(person)
    _identity_trouble(hub, person)
    _look_everywhere(hub, person)
    person.close()
    needles = _needles(hub)
    answers = [what for text in person.answers for what in needles.in_text(text)]
    files = in_files(needles, hub.state.folder, but=_KEPT)
    tables = [
        leak
        for url in (hub.stack.settings.hub_url, hub.stack.settings.airflow_url)
        for leak in in_database(needles, url)
    ]
    assert (answers, files, tables) == ([], [], [])
    _assert_no_personal_data(hub, person, Needles(planted))
    _assert_that_it_was_loud(hub)


def _provider_that_quotes_tokens(hub: RunningHub) -> None:
    token = stored_tokens(hub.database, hub.state.secret("integrations_key"))["access_token"]
    told = {"Key": "MsgPermissions", "Message": f"{token} is not good", "CorrelationId": token}
    fault = {
        "status": 409,
        "body": json.dumps(told),
        "headers": {"content-type": "application/json"},
    }
    hub.sandbox.script(fault, path="/api/project*", count=-1)
    assert hub.run()["state"] == "failed"
    hub.sandbox.control("POST", "/reset", {})


def _odd_requests(person: Person) -> None:
    callback = f"{_API}/connect/callback"
    person.ask("GET", callback, **FORGED)
    person.ask("GET", f"{_API}/connect/callbak", **FORGED)
    person.ask("GET", callback, **FORGED, error="access_denied", error_description=WRONG_PLACE)
    wrong = {"client_id": [WRONG_PLACE], "client_secret": {"x": WRONG_PLACE}}
    path = f"{_API}/connect/credentials?connection=acme"
    assert person.ask("POST", path, wrong).status_code == 422


def _identity_trouble(hub: RunningHub, person: Person) -> None:
    """An outage, then a grant that is gone: each seen by the connection's test."""
    hub.sandbox.control("POST", "/revoke", {"access": True})
    hub.database.execute("UPDATE hub.integration_connection SET token_expires_at = now()")
    hub.sandbox.script({"status": 503, "body": "away"}, path="/idp/*", count=-1)
    person.ask("GET", f"{_API}/test?connection=acme")
    hub.sandbox.control("POST", "/reset", {})
    hub.sandbox.control("POST", "/revoke", {"access": True, "grant": True})
    hub.database.execute("UPDATE hub.integration_connection SET refresh_claim_until = NULL")

    def is_rejected() -> bool:
        person.ask("GET", f"{_API}/test?connection=acme")
        state = hub.client.connection("acme")
        return state is not None and state["auth_state"] == "needs_reauth"

    hub.wait(is_rejected, "the grant to be found rejected")


def _look_everywhere(hub: RunningHub, person: Person) -> None:
    for path in ("connections", "jobs?connection=acme", "health", "audit"):
        where = f"{_API}/{path}" if path[0] in "cj" else f"/hub/api/integrations/{path}"
        assert person.ask("GET", where).status_code == 200, where
    dags = "/api/v2/dags/~/dagRuns/~"
    for path in ("/api/v2/connections", "/api/v2/dags/~/dagRuns", f"{dags}/taskInstances"):
        assert person.ask("GET", path, limit="100").status_code == 200, path
    person.ask("GET", "/api/v2/connections/hub_bqe_acme")
    for row in hub.rows("SELECT id FROM hub.integration_run"):
        person.ask("GET", f"/hub/api/jobs/{row['id']}/download")


def _needles(hub: RunningHub) -> Needles:
    secrets = {f"{one[:8]}…": one for one in hub.sandbox.control("GET", "/secrets")}
    secrets |= {"the wrong place": WRONG_PLACE, **FORGED}
    secrets["the key"] = hub.state.secret("integrations_key")
    password = urlsplit(hub.stack.settings.hub_url).password
    return Needles(secrets | ({"the database's password": password} if password else {}))


def _assert_no_personal_data(hub: RunningHub, person: Person, needles: Needles) -> None:
    urls = hub.stack.settings
    assert [what for text in person.answers for what in needles.in_text(text)] == []
    assert in_files(needles, hub.state.folder, but=_KEPT) == []
    assert in_database(needles, urls.airflow_url) == []
    assert in_database(needles, urls.hub_url, but=SEALED | USED) == []
    assert in_database(needles, urls.hub_url) != [], "nothing was planted"


def _assert_that_it_was_loud(hub: RunningHub) -> None:
    """What was not written cannot leak: the scan means something only over logs that were."""
    server = "".join(path.read_text(errors="replace") for path in hub.state.logs.glob("*.log*"))
    tasks = "".join(
        path.read_text(errors="replace") for path in hub.state.airflow_home.rglob("attempt=*.log")
    )
    assert "form_posted" in server
    assert "/connect/callback" in server
    assert "request_answered" in tasks
    assert "MsgPermissions" in tasks or "409" in tasks
