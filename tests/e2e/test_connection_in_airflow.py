"""The Airflow face of a connection, in real Airflow: who can read what, and what a person's changes are worth."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations_hub import wiring
from integrations_hub.refresh import purpose_of
from integrations_hub.store.tokens import PostgresTokenStore
from tests.kit.stack import RULE, RunningHub

pytestmark = pytest.mark.real_airflow

_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
CLIENT_SECRET = "hub-sandbox-secret"
HUB = "/hub/api/integrations/bqe"


class Guests(RunningHub):
    """The stack with somebody's own Dag and somebody's own secrets backend beside the Hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        site = {"site_app": {"conn_type": "generic", "login": "hub-sandbox-web", "password": CLIENT_SECRET},
                "site_conn": {"conn_type": "generic", "login": "site-login", "password": "site-password-canary"}}  # fmt: skip
        (folder / "connections.json").write_text(json.dumps(site), encoding="utf-8")
        (folder / "variables.json").write_text('{"site_word": "hello from the site"}', "utf-8")
        backend = {
            "connections_file_path": str(folder / "connections.json"),
            "variables_file_path": str(folder / "variables.json"),
        }
        bundles = [
            {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
            {"name": "guests", "classpath": _BUNDLE,
             "kwargs": {"path": str(Path(__file__).with_name("guest_dags"))}},
        ]  # fmt: skip
        super().__init__(
            folder,
            environ={
                "GUEST_FOLDER": str(folder),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
                "HUB_NEXT_SECRETS_BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
                "HUB_NEXT_SECRETS_BACKEND_KWARGS": json.dumps(backend),
            },
        )

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Airflow's address, as the admin."""
        headers = dict(self.client._headers)
        url = f"{self.stack.settings.base_url}{path}"
        answer = httpx.request(method, url, json=body, headers=headers, timeout=60, trust_env=False)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def secrets(self) -> dict[str, str]:
        """What may be nowhere but in the api-server, and the access token that a task may have."""
        environ = {"INTEGRATIONS_SECRET_KEY": self.state.secret("integrations_key")}
        row = self.rows("SELECT id FROM hub.integration_connection WHERE key = 'acme'")[0]["id"]
        sealed = PostgresTokenStore(self.database).read(row)[1]
        assert sealed is not None
        pair = json.loads(wiring.keyring(environ).open(sealed, purpose=purpose_of(row)))
        return {
            "access token": pair["access_token"],
            "refresh token": pair["refresh_token"],
            "client secret": CLIENT_SECRET,
            "key": environ["INTEGRATIONS_SECRET_KEY"],
        }


@pytest.fixture(scope="module")
def hub() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="hub-guests-") as folder, Guests(Path(folder)) as hub:
        yield hub


def held(text: str | bytes, secrets: dict[str, str]) -> list[str]:
    """Which of the secrets stand in it."""
    data = text.encode() if isinstance(text, str) else text
    return [name for name, value in secrets.items() if value.encode() in data]


def memory(pid: int) -> bytes:
    """Every readable page that a process has written to or allocated."""
    found = bytearray()
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as pages:
        for line in maps.splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match:
                first, last = (int(part, 16) for part in match.groups())
                pages.seek(first)
                try:
                    found += pages.read(last - first)
                except OSError:  # a guard page
                    continue
    return bytes(found)


def test_a_guests_task_gets_a_short_lived_token_and_nothing_else(hub: Guests) -> None:
    hub.wait(lambda: httpx_ok(hub, "/api/v2/dags/guest"), "the guest's Dag")
    hub.call("PATCH", "/api/v2/dags/guest", {"is_paused": False})
    run = hub.call("POST", "/api/v2/dags/guest/dagRuns", {"logical_date": None, "conf": {"who": "guest"}}).json()  # fmt: skip
    pid = int(hub.wait(lambda: pid_of(hub), "the guest's task to be looked at"))
    secrets = hub.secrets()
    everything, environ = memory(pid), Path(f"/proc/{pid}/environ").read_bytes()
    (hub.folder / "seen").touch()
    # the token that it was given is found: so the look reaches what a task holds
    assert held(everything, secrets) == ["access token"]
    assert held(environ, secrets) == []

    at = f"/api/v2/dags/guest/dagRuns/{run['dag_run_id']}"
    hub.wait(lambda: hub.call("GET", at).json()["state"] == "success", "the guest's run")
    entry = hub.call("GET", f"{at}/taskInstances/look/xcomEntries/return_value").json()
    value = entry["value"] if isinstance(entry["value"], dict) else json.loads(entry["value"])
    assert (value["type"], value["has_token"], value["rows"]) == ("bqe", True, 10)
    assert (value["site_login"], value["site_word"]) == ("site-login", "hello from the site")
    said = [
        hub.call("GET", at).text,
        json.dumps(entry),
        hub.call("GET", f"{at}/taskInstances/look/logs/1?full_content=true").text,
        hub.call("GET", "/api/v2/connections?limit=100").text,
        hub.call("GET", "/api/v2/connections/hub_bqe_acme").text,
    ]
    assert [held(text, secrets) for text in said] == [[]] * len(said)
    asked = {"fields": "id", "page": "1,5"}
    hooked = [r for r in hub.sandbox.requests() if r.get("params") == asked]
    assert len(hooked) == 1
    assert hub.rows("SELECT 1 FROM hub.rate_budget WHERE next_slot > now() - interval '10 min'")


def httpx_ok(hub: Guests, path: str) -> bool:
    headers = dict(hub.client._headers)
    url = f"{hub.stack.settings.base_url}{path}"
    return httpx.get(url, headers=headers, trust_env=False).is_success


def pid_of(hub: Guests) -> str:
    told = hub.folder / "pid"
    return told.read_text(encoding="utf-8") if told.exists() else ""


def test_a_persons_pool_slots_are_not_put_back(hub: Guests) -> None:
    pool = "/api/v2/pools/hub_bqe_acme"
    assert hub.call("GET", pool).json()["slots"] == 2
    body = {"pool": "hub_bqe_acme", "slots": 1, "include_deferred": False}
    hub.call("PATCH", pool, body)
    hub.client.save_rule("projects", "acme", {**RULE, "schedule": {"every": {"minutes": 60}}})
    hub.client.enable_rule("projects", "acme")
    assert hub.call("GET", pool).json()["slots"] == 1
    assert hub.run()["state"].startswith("succeeded"), "and fetch runs with one slot"
    assert hub.call("GET", pool).json()["slots"] == 1


def test_the_apps_secret_may_stay_in_the_sites_own_backend(hub: Guests) -> None:
    one = f"{HUB}/connections/acme"
    hub.call("PATCH", one, {"secret_ref": "airflow:site_app"})
    before = hub.rows("SELECT token_version FROM hub.integration_connection WHERE key = 'acme'")[0][
        "token_version"
    ]
    expire = "UPDATE hub.integration_connection SET token_expires_at = now() WHERE key = 'acme'"
    hub.database.execute(expire)
    report = hub.call("GET", f"{HUB}/test?connection=acme").json()
    assert report["overall"] in ("pass", "warn"), report
    after = hub.rows("SELECT token_version FROM hub.integration_connection WHERE key = 'acme'")[0][
        "token_version"
    ]
    assert after == before + 1
    hub.call("PATCH", one, {"secret_ref": "airflow:nobody"})
    hub.database.execute(expire)
    token = next(c for c in hub.call("GET", f"{HUB}/test?connection=acme").json()["checks"] if c["key"] == "token")  # fmt: skip
    assert token["status"] == "fail"
    assert "'nobody', which Airflow does not know" in token["detail"]
    hub.call("PATCH", one, {"secret_ref": ""})


def test_a_deleted_connection_is_gone_from_airflow(hub: Guests) -> None:
    hub.client.create_connection("spare", "Spare", "production")
    places = ("/api/v2/connections/hub_bqe_spare", "/api/v2/pools/hub_bqe_spare")
    assert [httpx_ok(hub, place) for place in places] == [True, True]
    gone = hub.call("DELETE", f"{HUB}/connections/spare?confirm=spare").json()
    assert gone["at_provider"] == "nothing_to_revoke"
    assert [httpx_ok(hub, place) for place in places] == [False, False]
