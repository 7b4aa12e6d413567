"""The secrets backend answers Hub ids only, in time, and says in words what is wrong."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any
from urllib.parse import quote

import pytest
from airflow._shared.secrets_masker import redact
from airflow.sdk._shared.secrets_masker import redact as sdk_redact
from airflow.secrets import BaseSecretsBackend
from cryptography.fernet import Fernet

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import (
    ConfigurationError,
    ConnectionNotReady,
    DatabaseUnavailable,
    HubError,
    NotFound,
    SecretKeyMissing,
    SettingInvalid,
    TokenNotReady,
)
from integrations_hub.orchestration.hook import ProviderHook
from integrations_hub.orchestration.hub_database import served_connection
from integrations_hub.orchestration.secret_ref import resolve
from integrations_hub.orchestration.secrets_backend import HubSecretsBackend
from integrations_hub.store.connections import PostgresConnectionStore
from integrations_hub.store.database import Database

READY = ServedConnection(
    "ready", "bqe", "acme_main", "tok-canary-4711-abcdef", 3, "https://api.example.test/v1"
)


def raising(error: Exception) -> Any:
    def serve(provider: str, connection: str) -> ServedConnection:
        raise error

    return serve


def extra(connection: Any) -> dict[str, Any]:
    return dict(json.loads(connection.extra))


def test_a_ready_connection_carries_token_and_address_only() -> None:
    asked = []

    def serve(provider: str, connection: str) -> ServedConnection:
        asked.append((provider, connection))
        return READY

    found = HubSecretsBackend(serve).get_connection("hub_bqe_acme_main")
    assert asked == [("bqe", "acme_main")]
    assert (found.conn_id, found.conn_type) == ("hub_bqe_acme_main", "bqe")
    assert (found.password, found.host) == (READY.access_token, READY.api_base_url)
    assert extra(found) == {"state": "ready", "token_version": 3}
    assert found.login is None


def test_a_served_token_is_masked_in_logs() -> None:
    HubSecretsBackend(lambda p, c: READY).get_connection("hub_bqe_acme_main")
    assert READY.access_token not in str(redact(f"token {READY.access_token}"))


@pytest.mark.parametrize(
    "conn_id",
    ["hub_db", "hub_", "hub_bqe", "hub_bqe_", "hub_unknown_acme", "bqe_acme", "postgres_default"],
)
def test_every_other_id_is_left_to_the_next_backend(conn_id: str) -> None:
    backend = HubSecretsBackend(raising(AssertionError("not asked")))
    assert backend.get_connection(conn_id) is None
    assert backend.get_variable("x") is None
    assert backend.get_config("x") is None


def test_a_refusal_says_why() -> None:
    refused = ServedConnection("refused", "bqe", "a", reason="it is disabled", hint="Enable it.")
    found = HubSecretsBackend(lambda p, c: refused).get_connection("hub_bqe_a")
    assert found.password is None
    assert extra(found) == {"state": "refused", "reason": "it is disabled", "hint": "Enable it."}


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (DatabaseUnavailable("Away."), "refreshing", "Away."),
        (NotFound("No such connection."), "refused", "No such connection."),
        (SecretKeyMissing("No key."), "refused", "No key."),
        (ValueError("secret-canary"), "refused", "ValueError"),
    ],
)
def test_it_never_raises_and_never_tells_an_unknown_errors_text(
    error: Exception, state: str, words: str
) -> None:
    found = HubSecretsBackend(raising(error)).get_connection("hub_bqe_a")
    assert extra(found)["state"] == state
    assert words in extra(found)["reason"]
    assert "secret-canary" not in found.extra


def test_a_slow_broker_means_ask_again_and_is_asked_once() -> None:
    go_on, calls = threading.Event(), []

    def serve(provider: str, connection: str) -> ServedConnection:
        calls.append(connection)
        go_on.wait(30)
        return READY

    backend = HubSecretsBackend(serve, answer_s=0.05)
    try:
        for _ in range(3):
            assert extra(backend.get_connection("hub_bqe_acme_main"))["state"] == "refreshing"
        assert calls == ["acme_main"]
    finally:
        go_on.set()
    patient = backend._asked["hub_bqe_acme_main"].result(timeout=30)
    assert patient is READY
    assert extra(backend.get_connection("hub_bqe_acme_main"))["state"] == "ready"
    assert len(calls) == 2


def test_airflow_builds_it_without_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_DATABASE_URL", raising=False)
    found = HubSecretsBackend().get_connection("hub_bqe_acme_main")
    assert extra(found)["state"] == "refused"
    assert "HUB_DATABASE_URL" in extra(found)["reason"]


def test_over_a_real_database_it_says_what_is_missing(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", Fernet.generate_key().decode())
    backend = HubSecretsBackend(answer_s=30)
    assert "no connection" in extra(backend.get_connection("hub_bqe_acme"))["reason"]
    PostgresConnectionStore(database).create(
        provider_key="bqe", key="acme", label="Acme", environment="production", actor="ada", request_id=None
    )  # fmt: skip
    found = extra(backend.get_connection("hub_bqe_acme"))
    assert (found["state"], found["reason"]) == ("refused", "it was never connected")
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", "")
    found = extra(backend.get_connection("hub_bqe_acme"))
    assert found["state"] == "refused"
    assert "INTEGRATIONS_SECRET_KEY" in found["reason"] + found["hint"]


def airflow_holds(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HUB_BQE_ACME", json.dumps({"conn_type": "bqe", **fields}))


def test_a_task_reads_what_the_backend_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(
        monkeypatch,
        password="tok-canary-0815-abcdef",
        host="https://api.example.test/v1",
        extra={"state": "ready", "token_version": 3},
    )
    served = served_connection("bqe", "acme")
    assert served == ServedConnection(
        "ready", "bqe", "acme", "tok-canary-0815-abcdef", 3, "https://api.example.test/v1"
    )
    assert "tok-canary-0815-abcdef" not in repr(served)
    assert "tok-canary" not in str(sdk_redact("tok-canary-0815-abcdef"))
    coded = base64.b64encode(b"id:tok-canary-0815-abcdef").decode()
    assert coded[8:24] not in str(sdk_redact(f"Basic of {coded}"))


def test_airflow_masks_every_form_of_a_token_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", told.append)
    token = "tok/canary+0816=abcdef"
    airflow_holds(monkeypatch, password=token, extra={"state": "ready", "token_version": 3})
    served_connection("bqe", "acme")
    ((*forms,),) = (one for one in told if isinstance(one, list))
    encoded = base64.b64encode(token.encode()).decode().rstrip("=")
    assert {token, quote(token, safe=""), encoded[:-1]} <= set(forms)


def test_a_task_learns_why_a_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(
        monkeypatch, extra={"state": "refused", "reason": "it is disabled", "hint": "Enable it."}
    )
    served = served_connection("bqe", "acme")
    assert (served.state, served.reason, served.hint) == ("refused", "it is disabled", "Enable it.")


def test_without_the_backend_a_task_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(monkeypatch, host="https://api.example.test")
    served = served_connection("bqe", "acme")
    assert served.state == "refused"
    assert "AIRFLOW__SECRETS__BACKEND" in served.hint


@pytest.mark.parametrize(
    ("conn_id", "state", "error"),
    [
        ("hub_bqe_acme", "refused", ConnectionNotReady),
        ("hub_bqe_acme", "refreshing", TokenNotReady),
        ("postgres_default", "ready", ConfigurationError),
    ],
)
def test_the_hook_says_why_it_cannot(
    conn_id: str, state: str, error: type[HubError], monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow_holds(monkeypatch, extra={"state": state, "reason": "the reason", "hint": "Do this."})
    with pytest.raises(error, match=r"the reason|postgres_default"):
        ProviderHook.served(conn_id)


# --- the site's own backend, behind ours ---

NEXT = "tests.dags.test_secrets_backend.SiteBackend"


class SiteBackend(BaseSecretsBackend):
    """A vault of the site, written before Airflow knew teams."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def get_conn_value(self, conn_id: str) -> str | None:  # type: ignore[override]
        known = {"site_app": {"conn_type": "generic", "login": "id-of-the-app", "password": "site-secret-canary"},
                 "half": {"conn_type": "generic", "login": "only-an-id"}}  # fmt: skip
        return json.dumps(known[conn_id]) if conn_id in known else None

    def get_variable(self, key: str) -> str | None:  # type: ignore[override]
        if key == "boom":
            raise RuntimeError("vault-token-canary")
        return f"{self.prefix}{key}"

    def get_config(self, key: str) -> str | None:
        return f"config of {key}"


def site(**more: str) -> HubSecretsBackend:
    environ = {"HUB_NEXT_SECRETS_BACKEND": NEXT, **more}
    return HubSecretsBackend(raising(AssertionError("not asked")), environ=environ)


def test_the_sites_own_backend_answers_everything_else() -> None:
    backend = site(HUB_NEXT_SECRETS_BACKEND_KWARGS='{"prefix": "site/"}')
    assert backend.get_connection("site_app").password == "site-secret-canary"
    assert backend.get_connection("unknown") is None
    assert backend.get_variable("x") == "site/x"
    assert backend.get_config("sql_alchemy_conn") == "config of sql_alchemy_conn"
    with pytest.raises(RuntimeError):  # its errors are its own: Airflow knows what to do with them
        backend.get_variable("boom")


def test_airflow_makes_both_of_its_kind_of_connection() -> None:
    from airflow.sdk import Connection

    backend = site()
    backend._set_connection_class(Connection)
    assert type(backend.get_connection("site_app")) is Connection
    hub = HubSecretsBackend(lambda p, c: READY, environ={"HUB_NEXT_SECRETS_BACKEND": NEXT})
    hub._set_connection_class(Connection)
    assert type(hub.get_connection("hub_bqe_acme_main")) is Connection


def test_airflows_own_look_up_finds_the_second_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an api-server does it: [secrets] backend names ours, the environment names the next."""
    from airflow.configuration import initialize_secrets_backends

    ours = "integrations_hub.orchestration.secrets_backend.HubSecretsBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", ours)
    monkeypatch.setenv("HUB_NEXT_SECRETS_BACKEND", NEXT)
    first = initialize_secrets_backends()[0]
    assert type(first) is HubSecretsBackend
    assert first.get_connection("site_app").login == "id-of-the-app"


@pytest.mark.parametrize(
    "environ",
    [
        {"HUB_NEXT_SECRETS_BACKEND": "no.such.Backend"},
        {"HUB_NEXT_SECRETS_BACKEND": NEXT, "HUB_NEXT_SECRETS_BACKEND_KWARGS": '{"token": "kwargs-canary"}'},
        {"HUB_NEXT_SECRETS_BACKEND": NEXT, "HUB_NEXT_SECRETS_BACKEND_KWARGS": "kwargs-canary"},
    ],
)  # fmt: skip
def test_a_site_backend_that_cannot_be_made_stops_the_start(environ: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="HUB_NEXT_SECRETS_BACKEND") as refused:
        HubSecretsBackend(environ=environ)
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"


# --- static secrets that stay there ---


@pytest.fixture
def search_path(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Airflow's search path with our backend and the site's behind it."""
    import airflow.configuration

    backends: list[Any] = [site()]
    monkeypatch.setattr(airflow.configuration, "ensure_secrets_loaded", lambda: backends)
    return backends


def test_id_and_secret_come_from_where_the_site_keeps_them(search_path: list[Any]) -> None:
    assert resolve("airflow:site_app") == ("id-of-the-app", "site-secret-canary")
    assert "site-secret-canary" not in str(sdk_redact("said site-secret-canary"))


def test_what_cannot_be_read_is_named_without_its_value(search_path: list[Any]) -> None:
    with pytest.raises(SettingInvalid, match=r"'nobody'.*does not know"):
        resolve("airflow:nobody")
    with pytest.raises(SettingInvalid, match="'half' holds no login or no password"):
        resolve("airflow:half")

    def broken(conn_id: str) -> None:
        raise RuntimeError("vault-answer-canary")

    search_path.insert(0, type("Broken", (), {"get_connection": staticmethod(broken)})())
    with pytest.raises(
        SettingInvalid, match=r"'site_app' cannot be read \(RuntimeError\)"
    ) as error:
        resolve("airflow:site_app")
    assert "canary" not in f"{error.value.message} {error.value.hint}"


def test_the_broker_uses_it_and_copies_it_nowhere(
    database: Database, database_url: str, search_path: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh at a scripted identity server: the form carries the site's secret, no table does."""
    from integrations_hub import auth_wiring, wiring
    from integrations_hub.ports.connections import ConnectionValues
    from integrations_hub.ports.outside import HttpResponse
    from integrations_hub.refresh import seal_pair
    from integrations_hub.store.tokens import PostgresTokenStore

    forms: list[dict[str, str]] = []

    class Poster:
        def __init__(self, **_: Any) -> None: ...

        def post_form(self, url: str, form: dict[str, str], **_: Any) -> HttpResponse:
            forms.append(dict(form))
            body = {"access_token": "new-access", "refresh_token": "r2", "expires_in": 3600}
            return HttpResponse(200, {}, json.dumps(body).encode())

    monkeypatch.setattr(auth_wiring, "RequestsFormPoster", Poster)
    environ = {
        "INTEGRATIONS_SECRET_KEY": Fernet.generate_key().decode(),
        "HUB_DATABASE_URL": database_url,
    }
    made = PostgresConnectionStore(database).create(
        provider_key="bqe", key="acme", label="Acme", environment="production", actor="ada", request_id=None,
        values=ConnectionValues(secret_ref="airflow:site_app"),
    )  # fmt: skip
    PostgresTokenStore(database).save_connected(
        made.id, seal_pair(wiring.keyring(environ), made.id, access="a", refresh="r"), expires_in_s=1,
        api_base_url="https://api.bqecore.com/api", company_id="c", actor="ada", request_id=None,
    )  # fmt: skip
    expire = "UPDATE hub.integration_connection SET token_expires_at = now()"
    database.execute(expire)
    served = wiring.broker(database, environ, resolve=resolve).serve(made.id)
    assert (served.state, served.access_token) == ("ready", "new-access")
    assert (forms[0]["client_id"], forms[0]["client_secret"]) == (
        "id-of-the-app",
        "site-secret-canary",
    )
    tables = database.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'hub'")
    held = "".join(str(database.rows(f"SELECT * FROM hub.{table['name']}")) for table in tables)
    assert "airflow:site_app" in held
    assert "site-secret-canary" not in held
    database.execute(expire)
    alone = wiring.broker(database, environ).serve(made.id)
    assert (alone.state, "only Airflow's api-server can read" in alone.reason) == ("refused", True)
