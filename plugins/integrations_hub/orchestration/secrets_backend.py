"""Answers Airflow's look-ups of `hub_<provider>_<connection>` in the api-server, the only process with the key."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
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

    def __init__(self, serve: Serve | None = None, answer_s: float = _ANSWER_S) -> None:
        super().__init__()
        self._serve = serve or _serve
        self._answer_s = answer_s
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="hub-secrets")
        self._lock = Lock()
        self._asked: dict[str, Future[ServedConnection]] = {}

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:  # noqa: ARG002
        """Airflow's Connection for a Hub id, None for every other (the next backend answers)."""
        names = split_conn_id(conn_id)
        if names is None:
            return None
        return self._as_airflow(conn_id, self._answer(conn_id, *names))

    def get_variable(self, key: str, team_name: str | None = None) -> None:
        """The Hub keeps no variables."""

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
        return self._get_connection_class()(
            conn_id=conn_id,
            conn_type=served.provider_key,
            host=served.api_base_url or None,
            password=served.access_token or None,
            extra=extra,
        )


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
        return wiring.broker(database, os.environ).serve(found.id, wait_s=_BROKER_S)
    finally:
        database.close()
