"""The connection test at the real sandbox: each fault is named where it is, and nothing is green untested."""

from __future__ import annotations

import dataclasses
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from integrations_hub import admin_wiring
from integrations_hub.domain.connection_test import Report
from integrations_hub.errors import NotFound, TooOften
from tests.kit.connected import Connected, connected
from tests.kit.sandbox import SandboxProcess

ALL = ["headers", "resolve", "tls", "token", "company", "budget", "list", "scope", "clock", "filter:projects"]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-quota") as process:
        yield process


@pytest.fixture
def world(sandbox: SandboxProcess, database: Any, database_url: str) -> Connected:
    return connected(sandbox, database, database_url)


def run(world: Connected, **environ: str) -> Report:
    services = admin_wiring.admin(world.database, world.environ | environ)
    return services.connection_test.run("bqe", "acme", world.actor)


def states(report: Report) -> dict[str, str]:
    return {check.key: check.outcome.status for check in report.checks}


def outcome(report: Report, key: str) -> Any:
    return next(check.outcome for check in report.checks if check.key == key)


def test_a_good_connection_passes_and_says_what_it_did(world: Connected) -> None:
    report = run(world)
    assert list(states(report)) == ALL
    assert states(report) == dict.fromkeys(ALL, "pass") | {"headers": "skipped", "tls": "skipped"}
    assert report.overall == "pass"
    assert all(check.ms >= 0 and check.outcome.detail for check in report.checks)
    seen = [r for r in world.sandbox.requests() if r["path"] == "/api/project"]
    assert 1 <= len(seen) <= 3, "the cheapest request and the filter's count"
    probes = world.connection.filter_probes
    assert list(probes) == ["projects:tested"], "a run still proves the filter before it uses it"
    assert (probes["projects:tested"]["accepted"], probes["projects:tested"]["verified"]) == (
        True,
        False,
    )


def test_what_a_full_run_has_judged_is_not_overwritten(world: Connected) -> None:
    judged = {"projects": {"accepted": True, "verified": True, "note": "n", "page_size": 50}}
    world.set(f"filter_probes = '{json.dumps(judged)}'")
    assert states(run(world))["filter:projects"] == "pass"
    assert world.connection.filter_probes["projects"] == judged["projects"]
    judged["projects"] |= {"verified": False, "note": "switched off: it lists 3 records"}
    world.set(f"filter_probes = '{json.dumps(judged)}'")
    assert outcome(run(world), "filter:projects").detail == "switched off: it lists 3 records"
    assert world.connection.filter_probes["projects"] == judged["projects"]


def test_a_refused_filter_is_a_warning_and_remembered(world: Connected) -> None:
    world.sandbox.switch(operators={"is null": False})
    report = run(world)
    assert (report.overall, states(report)["filter:projects"]) == ("warn", "warn")
    assert world.connection.filter_probes["projects:tested"]["accepted"] is False


@pytest.mark.parametrize(
    ("fault", "expected", "words"),
    [
        ({"status": 403, "body": {"Message": "insufficient_scope"}}, {"scope": "fail", "list": "skipped"}, "Reconnect"),
        ({"status": 403, "body": {"Message": "no"}}, {"scope": "pass", "list": "fail"}, "right to see projects"),
        ({"status": 401, "body": {"Message": "Company is not subscribed"}}, {"list": "fail"}, "subscription"),
        ({"status": 200, "body": "<html>sorry</html>", "headers": {"content-type": "text/html"}}, {"list": "fail"}, "maintenance page"),
        ({"status": 302, "headers": {"location": "https://evil.example/"}}, {"list": "fail"}, "evil.example"),
        ({"status": 429, "headers": {"retry-after": "86400"}}, {"list": "skipped"}, "Not tried"),
    ],
)  # fmt: skip
def test_a_fault_of_the_api_is_told_where_it_is(
    world: Connected, fault: dict[str, Any], expected: dict[str, str], words: str
) -> None:
    world.sandbox.script(fault, path="/api/project", count=-1)
    report = run(world)
    assert {key: states(report)[key] for key in expected} == expected
    assert report.overall == ("fail" if "fail" in expected.values() else "not_tested")
    assert words in json.dumps(dataclasses.asdict(report), default=str)
    assert states(report)["filter:projects"] == "skipped"


def test_an_identity_server_that_is_down_is_told(world: Connected) -> None:
    world.expire()
    report = run(world, BQE_AUTH_BASE_URL=f"http://127.0.0.1:{free_port()}/idp")
    assert (report.overall, states(report)["token"]) == ("fail", "fail")
    assert "accepts no connection" in outcome(report, "tls").detail
    assert states(report)["list"] == states(report)["scope"] == "skipped"


def test_a_rejected_grant_asks_for_a_reconnect(world: Connected) -> None:
    world.sandbox.control("POST", "/revoke", {"access": True, "grant": True})
    world.expire()
    token = outcome(run(world), "token")
    assert token.status == "fail"
    assert "reconnect" in token.remedy.lower()


def test_a_token_that_the_api_refuses_is_renewed_as_in_a_run(world: Connected) -> None:
    world.sandbox.control("POST", "/revoke", {"access": True})
    report = run(world)
    assert report.overall == "pass", report.checks
    assert world.connection.token_version == report.connection.token_version + 1


def test_a_slow_renewal_is_waited_for_as_in_a_run(world: Connected) -> None:
    world.sandbox.script({"delay_ms": 2500}, path="/idp/connect/token")
    world.expire()
    report = run(world)
    assert report.overall == "pass", report.checks


def test_another_company_than_set_up_fails(world: Connected) -> None:
    report = run(world, BQE_COMPANY_ID="somebody-else")
    assert (report.overall, outcome(report, "company").status) == ("fail", "fail")
    assert "BQE_COMPANY_ID" in outcome(report, "company").remedy


@pytest.mark.parametrize(("ahead_s", "status"), [(120, "warn"), (-3600, "fail")])
def test_a_clock_that_differs_is_told(world: Connected, ahead_s: int, status: str) -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=ahead_s)
    world.sandbox.control("POST", "/clock", {"now": at.isoformat()})
    clock = outcome(run(world), "clock")
    assert (clock.status, "NTP" in clock.remedy) == (status, True)
    assert ("behind" if ahead_s > 0 else "ahead") in clock.detail


def test_a_name_that_does_not_resolve_is_told(world: Connected) -> None:
    world.set("api_base_url = 'https://no-such-host.invalid/api'")
    report = run(world, BQE_ALLOWED_HOSTS="127.0.0.1,no-such-host.invalid")
    assert (report.overall, states(report)["resolve"]) == ("fail", "fail")
    assert "no-such-host.invalid" in outcome(report, "resolve").detail


def test_a_certificate_nobody_vouches_for_is_refused(world: Connected, self_signed: str) -> None:
    world.set(f"api_base_url = '{self_signed}/api'")
    tls = outcome(run(world), "tls")
    assert tls.status == "fail"
    assert "certificate" in tls.detail
    assert "REQUESTS_CA_BUNDLE" in tls.remedy


def test_a_certificate_that_ends_soon_is_a_warning(world: Connected, self_signed: str) -> None:
    world.set(f"api_base_url = '{self_signed}/api'")
    bundle = str(CERTIFICATES["folder"] / "cert.pem")
    tls = outcome(run(world, REQUESTS_CA_BUNDLE=bundle), "tls")
    assert (tls.status, "ends on" in tls.detail) == ("warn", True)


def test_nothing_is_green_that_was_not_tried(world: Connected) -> None:
    world.admin().lifecycle.disable("bqe", "acme", world.actor)
    report = run(world)
    assert report.overall == "fail"
    assert "enable" in outcome(report, "token").remedy
    assert states(report)["list"] == "skipped"


def test_a_used_up_budget_is_no_failure_and_no_success(world: Connected) -> None:
    world.database.execute(
        "INSERT INTO hub.rate_budget (key, paused_until) VALUES (%(key)s, now() + interval '5 min')",
        {"key": f"connection:{world.id}"},
    )
    report = run(world)
    assert (report.overall, states(report)["budget"]) == ("not_tested", "warn")
    assert states(report)["list"] == "skipped"


def test_six_a_minute_whoever_asks(world: Connected) -> None:
    world.set("is_disabled = true")  # quick: nothing is asked of the provider
    for _ in range(6):
        run(world)
    with pytest.raises(TooOften) as refused:
        run(world)
    assert 0 < (refused.value.retry_after_s or 0) <= 60
    entries = world.rows("SELECT 1 FROM hub.audit_log WHERE action = 'connection.tested'")
    assert len(entries) == 6


def test_an_unknown_connection_is_not_found(world: Connected) -> None:
    with pytest.raises(NotFound):
        world.admin().connection_test.run("bqe", "nobody", world.actor)


def test_no_report_holds_a_token(world: Connected) -> None:
    token = world.broker().serve(world.id).access_token
    said = json.dumps(dataclasses.asdict(run(world)), default=str)
    assert token not in said
    assert world.environ["BQE_CLIENT_SECRET"] not in said


# --- a server with a certificate of its own making ---

CERTIFICATES: dict[str, Path] = {}


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """https://127.0.0.1:<port>, whose certificate lasts a week."""
    folder = CERTIFICATES["folder"] = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        listener.settimeout(0.2)
        served = threading.Thread(target=_shake_hands, args=(listener, context, stop))
        served.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        served.join(10)


def _shake_hands(listener: socket.socket, context: ssl.SSLContext, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            plain, _ = listener.accept()
        except TimeoutError:
            continue
        plain.settimeout(5)
        try:
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)
        except OSError:
            plain.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
