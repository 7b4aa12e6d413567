"""Client credentials end to end: a provider in a folder, a real identity server, a real API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations_hub import admin_wiring, sync_wiring, wiring
from integrations_hub.domain.connection import ServedConnection
from integrations_hub.domain.run import RunRequest
from integrations_hub.store.database import Database
from tests.kit.bridge import BridgeKit
from tests.kit.oidc import CLIENT_ID, MACHINE_ID, MACHINE_SECRET, IdentityServer
from tests.kit.scripted_server import Answer, ScriptedServer
from tests.kit.steady import SteadyApi, steady_installed

API = "/api/integrations/steady"
GOOD = {"client_id": MACHINE_ID, "client_secret": MACHINE_SECRET, "company_id": "company-9"}
WIDGETS = [
    {"id": str(n), "title": f"Widget {n}", "state": "0", "changed": "2026-01-01T00:00:00"}
    for n in range(1, 4)
]


@pytest.fixture(scope="module")
def api() -> Iterator[SteadyApi]:
    made = SteadyApi(*WIDGETS)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(api: SteadyApi) -> Iterator[IdentityServer]:
    with IdentityServer(endpoint=api.url) as made:
        yield made


@pytest.fixture
def identity(server: IdentityServer, api: SteadyApi) -> IdentityServer:
    server.reset()
    api.status, api.bearers = 200, []
    return server


@pytest.fixture
def hub(identity: IdentityServer, database_url: str) -> Iterator[BridgeKit]:
    with steady_installed():
        kit = BridgeKit(
            database_url,
            STEADY_AUTH_BASE_URL=identity.url,
            STEADY_API_VERSION="7",
            BQE_AUTH_BASE_URL=identity.url,
            BQE_ALLOWED_HOSTS="127.0.0.1",
        )
        admin_wiring.publish(kit.database, kit.environ)
        create(kit)
        yield kit
        kit.close()


def create(hub: BridgeKit, key: str = "main", environment: str = "production") -> None:
    body = {"key": key, "label": "Main", "environment": environment}
    assert hub.call("POST", f"{API}/connections", body).status_code == 201


def connect(hub: BridgeKit, key: str = "main", base: str = API, **body: Any) -> httpx.Response:
    return hub.call("POST", f"{base}/connect/credentials?connection={key}", {**GOOD, **body})


def serve(hub: BridgeKit) -> ServedConnection:
    return wiring.broker(hub.database, hub.environ).serve(1, wait_s=20)


def expire_in(hub: BridgeKit, seconds: int) -> None:
    hub.database.execute(
        "UPDATE hub.integration_connection SET token_expires_at = now() + make_interval(secs => %(s)s)",
        {"s": seconds},
    )


def life_s(hub: BridgeKit) -> int:
    (row,) = hub.database.rows(
        "SELECT extract(epoch FROM token_expires_at - now()) AS life FROM hub.integration_connection"
    )
    return int(row["life"])


def test_an_app_is_tried_connected_and_kept_sealed(hub: BridgeKit, api: SteadyApi) -> None:
    answer = connect(hub)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["state"], made["flow"], made["company_id"]) == (
        "connected",
        "client_credentials",
        "company-9",
    )
    assert made["api_base_url"] == api.url
    assert len(api.bearers) == 1, "the test request went out before anything was stored"
    assert api.bearers[0]
    for secret in (MACHINE_SECRET, api.bearers[0]):
        assert secret not in answer.text
        for table in ("encrypted_secret", "audit_log", "integration_connection", "oauth_flow"):
            rows = hub.database.rows(f"SELECT row_to_json(t)::text AS text FROM hub.{table} t")
            assert secret not in str(rows), table
    assert hub.audit()[-1] == "admin connection.connected"


def test_its_widgets_arrive_as_projects(hub: BridgeKit) -> None:
    assert connect(hub).status_code == 200
    rule = {"schedule": {"every": {"minutes": 15}}, "syncMode": "full"}
    saved = hub.call("PUT", f"{API}/widgets/rule?connection=main", rule)
    assert saved.status_code == 200, saved.text
    enabled = hub.call("POST", f"{API}/widgets/rule/enable?connection=main", {})
    assert enabled.status_code == 200, enabled.text
    with sync_wiring.stages(
        open_database=lambda: Database.from_url(hub.environ["HUB_DATABASE_URL"]),
        lookup=lambda *_: serve(hub),
        environ=hub.environ,
    ) as stages:
        run = stages.plan(RunRequest("hub__steady__main__widgets", "r1", 1, "scheduled"))
        for stage in ("fetch", "filter_parents", "map_fields", "upsert", "finish"):
            getattr(stages, stage)(run)
    rows = hub.database.rows("SELECT name, status FROM hub.projects ORDER BY name")
    assert [(row["name"], row["status"]) for row in rows] == [
        ("Widget 1", "active"),
        ("Widget 2", "active"),
        ("Widget 3", "active"),
    ]


def test_one_token_serves_until_a_minute_before_its_end(
    hub: BridgeKit, identity: IdentityServer
) -> None:
    assert connect(hub).status_code == 200
    first = serve(hub)
    assert (first.state, 3500 < life_s(hub) <= 3600) == ("ready", True)
    expire_in(hub, 90)  # the margin of 60 s and its jitter of a fifth are not reached
    for _ in range(20):
        assert serve(hub).access_token == first.access_token
    assert identity.asked("client_credentials") == 1
    expire_in(hub, 59)
    second = serve(hub)
    assert (second.state, second.access_token != first.access_token) == ("ready", True)
    assert (identity.asked("client_credentials"), life_s(hub) > 3500) == (2, True)
    assert serve(hub).access_token == second.access_token
    assert identity.asked("client_credentials") == 2


def test_a_header_that_is_not_set_is_named_before_and_at_the_connect(
    hub: BridgeKit, api: SteadyApi
) -> None:
    details = hub.call("GET", API).json()
    assert (details["missing_settings"], list(details["connect_forms"])) == (
        [],
        ["client_credentials"],
    )
    hub.environ["STEADY_API_VERSION"] = ""
    assert hub.call("GET", API).json()["missing_settings"] == ["STEADY_API_VERSION"]
    refused = connect(hub).json()
    assert (refused["code"], "STEADY_API_VERSION" in refused["hint"]) == ("HDR_MISSING", True)
    assert (hub.status("main", api=API)["state"], api.bearers) == ("new", [])


def test_a_wrong_secret_is_told_and_nothing_is_kept(
    hub: BridgeKit, identity: IdentityServer, api: SteadyApi
) -> None:
    answer = connect(hub, client_secret="wrong-canary")
    assert (answer.status_code, answer.json()["code"]) == (409, "CLIENT_REJECTED")
    assert "client id and client secret" in answer.json()["hint"]
    assert "wrong-canary" not in answer.text
    assert (hub.status("main", api=API)["state"], api.bearers) == ("new", [])
    assert hub.database.rows("SELECT 1 FROM hub.encrypted_secret") == []
    assert hub.audit()[-1] == "admin connection.connect_failed"


def test_an_app_that_may_not_read_is_not_kept(hub: BridgeKit, api: SteadyApi) -> None:
    api.status = 403
    answer = connect(hub)
    assert (answer.status_code, answer.json()["code"]) == (409, "PERMISSION_MISSING")
    assert (
        hub.status("main", api=API)["state"],
        hub.database.rows("SELECT 1 FROM hub.encrypted_secret"),
    ) == (
        "new",
        [],
    )


def test_the_company_is_named_by_the_form_or_the_setting(hub: BridgeKit) -> None:
    assert connect(hub, company_id=None).json()["code"] == "COMPANY_UNKNOWN"
    hub.environ["STEADY_COMPANY_ID"] = "company-q"
    assert connect(hub).json()["code"] == "COMPANY_UNEXPECTED"
    assert connect(hub, company_id=None).json()["company_id"] == "company-q"
    del hub.environ["STEADY_COMPANY_ID"]
    assert connect(hub).json()["code"] == "COMPANY_SWITCHED"
    changed = connect(hub, confirm_company_change=True)
    assert (changed.status_code, changed.json()["company_id"]) == (200, "company-9")


def test_two_companies_and_two_environments_stand_side_by_side(hub: BridgeKit) -> None:
    create(hub, "other_company")
    create(hub, "sandbox", "sandbox")
    create(hub, "twin")
    assert connect(hub).status_code == 200
    assert connect(hub, "other_company", company_id="company-8").status_code == 200
    assert connect(hub, "sandbox").status_code == 200
    refused = connect(hub, "twin").json()
    assert refused["code"] == "COMPANY_CONNECTED_ALREADY"
    assert "'main'" in refused["message"]


def test_of_ten_posts_for_one_company_at_once_one_is_connected(hub: BridgeKit) -> None:
    keys = [f"c{number}" for number in range(10)]
    for key in keys:
        create(hub, key)
    posts = [
        ("POST", f"{API}/connect/credentials?connection={key}", GOOD, None, {}) for key in keys
    ]
    answers = hub.calls(*posts)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    (active,) = hub.database.rows("SELECT key FROM hub.integration_connection WHERE is_active")
    refused = [answer.json()["message"] for answer in answers if answer.status_code == 409]
    assert all(f"'{active['key']}'" in message for message in refused)


def test_a_flow_that_the_metadata_does_not_list_is_a_clear_error(hub: BridgeKit) -> None:
    hub.create()
    for answer, flow in (
        (connect(hub, "acme", "/api/integrations/bqe"), "client_credentials"),
        (hub.call("POST", f"{API}/connect/start?connection=main"), "authorization_code"),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "FLOW_NOT_OFFERED")
        assert flow in problem["message"]
        assert "HUB_METADATA_OVERLAY" in problem["hint"]


def test_an_operator_adds_the_flow_without_code(
    identity: IdentityServer,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The example of docs/metadata-overlay.md, read from the page."""
    page = (Path(__file__).parents[2] / "docs" / "metadata-overlay.md").read_text("utf-8")
    example = "\n".join(line for line in page.splitlines() if line.startswith("    "))
    (tmp_path / "overlay.json").write_text(example)
    monkeypatch.setenv("HUB_METADATA_OVERLAY", str(tmp_path / "overlay.json"))
    wiring.registry.cache_clear()
    kit = BridgeKit(database_url, BQE_AUTH_BASE_URL=identity.url, BQE_ALLOWED_HOSTS="127.0.0.1")
    try:
        admin_wiring.publish(kit.database, kit.environ)
        kit.create()
        details = kit.call("GET", "/api/integrations/bqe").json()
        assert list(details["connect_forms"]) == ["authorization_code", "client_credentials"]
        answer = connect(kit, "acme", "/api/integrations/bqe")
        assert (answer.status_code, answer.json()["flow"]) == (200, "client_credentials")
    finally:
        kit.close()
        monkeypatch.undo()
        wiring.registry.cache_clear()


def scripted(hub: BridgeKit, *answers: dict[str, Any], status: int = 200) -> ScriptedServer:
    """An identity server that answers as no test server would."""
    bodies = [Answer(status, json.dumps(one).encode()) for one in answers]
    made = ScriptedServer(*bodies)
    hub.environ["STEADY_AUTH_BASE_URL"] = made.url
    return made


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [({}, 3300), ({"expires_in": "1800"}, 1800), ({"expires_in": 0}, 3300), ({"expires_in": -1}, 3300), ({"expires_in": 5}, 60)],
)  # fmt: skip
def test_a_lifetime_in_an_odd_shape_is_read(
    hub: BridgeKit, api: SteadyApi, sent: dict[str, Any], seconds: int
) -> None:
    answer = {"access_token": "a", "token_type": "Bearer", "endpoint": api.url, **sent}
    with scripted(hub, answer):
        assert connect(hub).status_code == 200
    assert seconds - 20 <= life_s(hub) <= seconds


def test_a_token_that_is_no_bearer_is_refused_and_less_scope_is_listed(
    hub: BridgeKit, api: SteadyApi
) -> None:
    good = {"access_token": "a", "endpoint": api.url}
    with scripted(hub, {**good, "token_type": "mac"}):
        refused = connect(hub)
    assert (refused.status_code, refused.json()["code"]) == (502, "PROVIDER_CONTRACT")
    with scripted(hub, {**good, "scope": "read:little"}):
        assert connect(hub).json()["missing_scopes"] == ["read:core"]
    with scripted(hub, good):
        assert connect(hub).json()["missing_scopes"] == []


def test_credentials_that_are_withdrawn_ask_for_a_person(hub: BridgeKit) -> None:
    assert connect(hub).status_code == 200
    expire_in(hub, 0)
    with scripted(hub, {"error": "invalid_client"}, status=401):
        assert serve(hub).state == "refused"
    assert (hub.status("main", api=API)["state"], hub.status("main", api=API)["next_action"]) == (
        "needs_reauth",
        "reconnect",
    )
    assert connect(hub, client_id=CLIENT_ID).status_code in (409, 503)


def test_an_api_on_a_host_that_is_not_pinned_never_sees_the_token(
    hub: BridgeKit, api: SteadyApi
) -> None:
    with scripted(hub, {"access_token": "a", "endpoint": "https://evil.example/api"}):
        refused = connect(hub)
    assert (refused.status_code, refused.json()["code"]) == (502, "HOST_NOT_ALLOWED")
    assert (hub.status("main", api=API)["state"], api.bearers) == ("new", [])
