"""No secret leaves: one scenario at DEBUG, scanned in twelve encodings, and red without any one of its redactors."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.exception_handlers import request_validation_exception_handler

from bridge_api import deps, envelope, errors, routing
from integrations_hub import admin_wiring, auth_wiring, sync_wiring, wiring
from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import HubError
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database
from integrations_hub.transport import log_guard, standard_auth, verdict
from integrations_hub.transport.log_guard import LogGuard
from tests.kit.bridge import API, KEY, BridgeKit
from tests.kit.engine import STAGES
from tests.kit.leaks import Needles, in_database, in_files, stored_tokens
from tests.kit.sandbox import SandboxProcess

SECRET = "hub-sandbox-secret"
WRONG_PLACE = "Zq7-posted-in-the-wrong-place"
UNKNOWN = "Zq8-a-secret-that-nobody-told-the-guard"
FORGED = {"code": "forged-code-5581", "state": "forged.state-9022"}
airflow_log = logging.getLogger("http.access")  # Airflow's own: no guard of ours sees it
server_log = logging.getLogger("uvicorn.access")
careless = logging.getLogger("integrations_hub.careless")


@pytest.fixture
def fresh_guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a new process: no factory of ours, nothing hidden."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    for name, nothing in (("_hidden", {}), ("_forms", ())):
        monkeypatch.setattr(log_guard.GUARD, name, nothing)
    yield
    logging.setLogRecordFactory(before)


class Scenario:
    """A connection's life over REST and through the stages; `answers` holds every answer of the bridge."""

    def __init__(self, sandbox: SandboxProcess, url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self.answers: list[str] = []
        self.kit = BridgeKit(url, **sandbox.settings() | {"BQE_CLIENT_SECRET": SECRET})
        self.kit.app.dependency_overrides.pop(deps.auth_clients)
        self.kit.serve = self._with_access_logs
        self.runs = 0

    def play(self) -> None:
        """All steps."""
        self.kit.create()
        self._connect()
        self._strange_callbacks()
        self._wrong_bodies()
        self.rule_id = self.kit.save_rule()["id"]
        self.kit.enable(nothing_to_match=True)
        self._publish_limits()
        self._run()
        self.sandbox.control("POST", "/revoke", {"access": True})
        self._run()  # a 401, then a refresh
        self._quoting_errors()
        self._say_carelessly()
        self._unexpected_error()
        paths = ("jobs?connection=acme", "connections", "connections/acme", "test?connection=acme")
        for path in (
            *paths,
            "projects/state?connection=acme",
            "projects/quarantine?connection=acme",
        ):
            assert self._call("GET", f"{API}/{path}").status_code == 200, path
        for path in ("integrations/audit", "integrations/health", "jobs/3/download"):
            assert self._call("GET", f"/api/{path}").status_code == 200, path

    def leaks(self, log_file: Path) -> list[str]:
        """Where a secret stands that nobody may see."""
        secrets = {value: value for value in self.sandbox.control("GET", "/secrets")}
        secrets |= {value: value for value in (SECRET, KEY, WRONG_PLACE, UNKNOWN, *FORGED.values())}
        needles = Needles({f"{v[:6]}…": v for v in secrets})
        found = in_files(needles, log_file.parent) + in_database(needles, self.url)
        return found + [
            f"an answer: {what}" for text in self.answers for what in needles.in_text(text)
        ]

    def close(self) -> None:
        self.kit.database.close()

    # --- steps ---

    def _call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.kit.call(method, path, body, **more)
        self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def _connect(self) -> None:
        started = self.kit.call("POST", f"{API}/connect/start?connection=acme")
        self.cookie = started.headers["set-cookie"].partition(";")[0]
        back = self.sandbox.consent(started.json()["authorize_url"])
        self.brought = {name: v[0] for name, v in parse_qs(urlsplit(back).query).items()}
        self._callback(self.brought)

    def _callback(self, query: Mapping[str, str], path: str = "callback") -> Any:
        headers = {"Cookie": self.cookie}
        return self._call("GET", f"{API}/connect/{path}", headers=headers, params=query)

    def _strange_callbacks(self) -> None:
        self._callback(self.brought)  # once more
        self._callback({**self.brought, "error": "access_denied", "error_description": SECRET})
        self._callback(FORGED)
        self._callback(FORGED, "callbak")

    def _wrong_bodies(self) -> None:
        path = f"{API}/connect/credentials?connection=acme"
        self._call("POST", path, {"client_id": [WRONG_PLACE], "client_secret": {"x": WRONG_PLACE}})
        self._call("POST", f"{API}/connections", {"key": WRONG_PLACE, "label": 5})

    def _publish_limits(self) -> None:
        admin_wiring.publish(self.kit.database, self.kit.environ)
        self.kit.database.execute(
            "UPDATE hub.rate_limit SET requests_per_minute = 60000, burst = 100"
        )

    def _run(self) -> None:
        """One run, each stage as a task; what fails is logged as Airflow does, with its traceback."""
        self.runs += 1
        with ExitStack() as opened:
            own = opened.enter_context(closing(Database.from_url(self.url)))
            broker = wiring.broker(own, self.kit.environ)
            found = PostgresConnectionStore(own).get("bqe", "acme")
            stages = opened.enter_context(
                sync_wiring.stages(
                    open_database=lambda: Database.from_url(self.url),
                    lookup=lambda *_: broker.serve(found.id),
                    environ=self.kit.environ,
                )
            )
            run_id = stages.plan(
                RunRequest(
                    dag_id="dag",
                    dag_run_id=f"run-{self.runs}",
                    rule_id=self.rule_id,
                    trigger="scheduled",
                    params={},
                )
            )
            for names in (STAGES, ("finish",)):
                try:
                    for stage in names:
                        getattr(stages, stage)(run_id)
                except HubError:
                    airflow_log.exception("task failed")
        self._call("GET", f"/api/jobs/{run_id}")

    def _quoting_errors(self) -> None:
        token = self._pair()["access_token"]
        quoted = base64.b64encode(token.encode()).decode()
        message = f"{token} is not good, nor is {quoted}"
        body = json.dumps({"Key": "MsgPermissions", "Message": message, "CorrelationId": token})
        fault = {"status": 409, "body": body, "headers": {"content-type": "application/json"}}
        self.sandbox.script(fault, path="/api/project*", count=-1)
        self._run()
        self.sandbox.control("POST", "/reset", {})

    def _say_carelessly(self) -> None:
        """What must never be written, and will be one day: the guard is there for it."""
        for value in (*self._pair().values(), SECRET, KEY, self.brought["code"]):
            careless.debug("now %s", value)
            careless.debug("now %s", {"inside": base64.b64encode(f"id:{value}".encode()).decode()})

    def _unexpected_error(self) -> None:
        self.kit.airflow.error = RuntimeError(f"it said {UNKNOWN}")
        self._call(
            "POST", f"{API}/connections", {"key": "b", "label": "B", "environment": "production"}
        )
        self.kit.airflow.error = None

    def _pair(self) -> dict[str, str]:
        return stored_tokens(self.kit.database, KEY)

    async def _with_access_logs(self, scope: Any, receive: Any, send: Any) -> None:
        """The servers around the bridge print the address: uvicorn as the answer starts, Airflow after it."""

        async def logged(message: Any) -> None:
            if message["type"] == "http.response.start":
                server_log.info(
                    '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", scope["method"], _address(scope), "1.1", message["status"]
                )  # fmt: skip
            await send(message)

        await self.kit.app(scope, receive, logged)
        airflow_log.info("request finished %s", _address(scope))


def _address(scope: Any) -> str:
    return f"{scope['path']}?{scope['query_string'].decode()}"


def _leaks(sandbox: SandboxProcess, url: str, log_file: Path) -> list[str]:
    scenario = Scenario(sandbox, url)
    try:
        scenario.play()
        return scenario.leaks(log_file)
    finally:
        scenario.close()


def test_no_secret_stands_in_logs_database_or_answers(
    sandbox: SandboxProcess, database_url: str, fresh_guard: None, log_file: Path
) -> None:
    assert _leaks(sandbox, database_url, log_file) == []
    said = log_file.read_text()
    for proof in ("request_answered", "uvicorn.access", "callbak?", "route_failed", "task failed"):
        assert proof in said, f"the scenario never logged {proof}:\n{said}"


def _nothing(*_: Any, **__: Any) -> None: ...


def _same(_guard: Any, text: str) -> str:
    return text


def _tells_all(path: str, error: Exception) -> None:
    routing.log.error("route_failed path=%s", path, exc_info=error)


WITHOUT: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the patterns": lambda m: m.setattr(log_guard, "redact_text", lambda text: text),
    "the hidden values": lambda m: m.setattr(log_guard.LogGuard, "hide", _nothing),
    "the encoded forms": lambda m: m.setattr(log_guard, "forms_of", lambda value: {value}),
    "the record factory": lambda m: m.setattr(logging, "setLogRecordFactory", _nothing),
    "what the key ring tells": lambda m: m.setattr(auth_wiring, "_hide", _nothing),
    "the code that is exchanged": lambda m: m.setattr(standard_auth, "GUARD", LogGuard()),
    "the blanked query of the callback": lambda m: m.setattr(envelope, "_hide_query", _nothing),
    "the redaction of what a provider says": lambda m: m.setattr(
        verdict, "_shown", verdict._member
    ),
    "the 422 without values": lambda m: m.setattr(
        errors, "_invalid", request_validation_exception_handler
    ),
    "the unexpected error without text": lambda m: m.setattr(routing, "_tell", _tells_all),
}


@pytest.mark.parametrize("redactor", WITHOUT)
def test_without_any_one_redactor_the_scan_is_red(
    redactor: str,
    sandbox: SandboxProcess,
    database_url: str,
    fresh_guard: None,
    log_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WITHOUT[redactor](monkeypatch)
    assert _leaks(sandbox, database_url, log_file)
