"""Answers Airflow's look-ups of `hub_<provider>_<connection>` in the api-server, the only process with the key.

Airflow takes one backend of the site's own only: HUB_NEXT_SECRETS_BACKEND names the one that answers all the rest.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from importlib import import_module
from threading import Lock
from typing import Any

from airflow.secrets import BaseSecretsBackend

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.orchestration.provider_folders import split_conn_id

log = logging.getLogger(__name__)

_ANSWER_S = 3.0  # Airflow's execution API client gives up at 5
_CONNECT_S = 2
_BROKER_S = 2.0

Serve = Callable[[str, str], ServedConnection]


class HubSecretsBackend(BaseSecretsBackend):
    """Serves a short-lived access token and the API's address, never a refresh token or a client secret.

    It never raises and never takes longer than 3 s: Airflow swallows a backend's errors and says "isn't defined".
    What is wrong stands in the connection's extra: `state` (ready, refreshing, refused), `reason`, `hint`.
    """

    def __init__(
        self,
        serve: Serve | None = None,
        answer_s: float = _ANSWER_S,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self._next = _next_backend(environ)
        self._serve = serve or _serve
        self._answer_s = answer_s
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="hub-secrets")
        self._lock = Lock()
        self._asked: dict[str, Future[ServedConnection]] = {}

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """Airflow's Connection for a Hub id; for every other id what the next backend says."""
        names = split_conn_id(conn_id)
        if names is None:
            return self._ask_next("get_connection", conn_id, team_name)
        return self._as_airflow(conn_id, self._answer(conn_id, *names))

    def get_variable(self, key: str, team_name: str | None = None) -> Any:
        """The Hub keeps no variables: what the next backend says."""
        return self._ask_next("get_variable", key, team_name)

    def get_config(self, key: str) -> Any:
        """The Hub keeps no configuration: what the next backend says."""
        return self._ask_next("get_config", key, None)

    def _set_connection_class(self, conn_class: type) -> None:
        """Airflow says which class it wants; the next backend makes the same."""
        super()._set_connection_class(conn_class)
        if self._next is not None:
            self._next._set_connection_class(conn_class)

    def _ask_next(self, look_up: str, key: str, team_name: str | None) -> Any:
        """Its errors are its own: Airflow treats them as those of any backend.

        Backends from before teams don't know `team_name`, so it is given only when there is one.
        """
        if self._next is None:
            return None
        method = getattr(self._next, look_up)
        return method(key) if team_name is None else method(key, team_name=team_name)

    def _answer(self, conn_id: str, provider: str, connection: str) -> ServedConnection:
        """Ask the broker in the background; who asks meanwhile waits for the same answer."""
        with self._lock:
            future = self._asked.get(conn_id)
            if future is None or future.done():
                future = self._pool.submit(self._serve, provider, connection)
                self._asked[conn_id] = future
        try:
            return future.result(timeout=self._answer_s)
        except FutureTimeoutError:
            return ServedConnection(
                "refreshing", provider, connection, reason="the Hub needs longer than usual to answer",
                hint="Ask again in a second.",
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - an exception would read as "isn't defined"
            log.warning("connection_not_served conn_id=%s error=%s", conn_id, type(error).__name__)
            return _could_not(error, provider, connection)

    def _as_airflow(self, conn_id: str, served: ServedConnection) -> Any:
        if served.access_token:
            from airflow.sdk.log import mask_secret

            mask_secret(served.access_token)
        extra: dict[str, Any] = {"state": served.state}
        if served.state == "ready":
            extra["token_version"] = served.token_version
        else:
            extra.update(reason=served.reason, hint=served.hint)
            if served.code:
                extra["code"] = served.code
        return self._get_connection_class()(
            conn_id=conn_id,
            conn_type=served.provider_key,
            host=served.api_base_url or None,
            password=served.access_token or None,
            extra=extra,
        )


def _next_backend(environ: Mapping[str, str]) -> BaseSecretsBackend | None:
    """The site's own backend. Raises SettingInvalid: without it the site's connections would silently be gone."""
    from integrations_hub.errors import SettingInvalid

    name = environ.get("HUB_NEXT_SECRETS_BACKEND", "").strip()
    if not name:
        return None
    try:
        kwargs = json.loads(environ.get("HUB_NEXT_SECRETS_BACKEND_KWARGS") or "{}")
        module, _, kind = name.rpartition(".")
        made: BaseSecretsBackend = getattr(import_module(module), kind)(**kwargs)
    except Exception as error:  # noqa: BLE001 - its text may quote kwargs, where a vault's token stands
        raise SettingInvalid(
            f"HUB_NEXT_SECRETS_BACKEND names {name!r}, which cannot be used ({type(error).__name__}).",
            hint="Give the class as module.Class, and its arguments as a JSON object in HUB_NEXT_SECRETS_BACKEND_KWARGS.",
        ) from None
    return made


def _could_not(error: Exception, provider: str, connection: str) -> ServedConnection:
    from integrations_hub.errors import HubError, TransientError

    if not isinstance(error, HubError):  # its text may hold anything
        return ServedConnection(
            "refused", provider, connection, reason=f"the Hub failed ({type(error).__name__})",
            hint="Look at the api-server's log.",
        )  # fmt: skip
    state = "refreshing" if isinstance(error, TransientError) else "refused"
    return ServedConnection(state, provider, connection, reason=error.message, hint=error.hint)


def _serve(provider: str, connection: str) -> ServedConnection:
    from integrations_hub import wiring
    from integrations_hub.errors import SettingInvalid
    from integrations_hub.orchestration.secret_ref import resolve
    from integrations_hub.store.connections import PostgresConnectionStore
    from integrations_hub.store.database import Database

    url = os.environ.get("HUB_DATABASE_URL")
    if not url:
        raise SettingInvalid(
            "HUB_DATABASE_URL is not set in the api-server.",
            hint="Set it in the api-server's environment and restart it.",
        )
    database = Database.from_url(url, connect_timeout_s=_CONNECT_S)
    try:
        found = PostgresConnectionStore(database).get(provider, connection)
        return wiring.broker(database, os.environ, resolve=resolve).serve(
            found.id, wait_s=_BROKER_S
        )
    finally:
        database.close()
