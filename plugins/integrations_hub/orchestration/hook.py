"""The hook behind the Hub's connection types: anyone's Dag asks a provider as the Hub's own tasks do."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import ConfigurationError, ConnectionNotReady, TokenNotReady
from integrations_hub.orchestration.hub_database import served_connection, task_database
from integrations_hub.orchestration.provider_folders import (
    hook_class_name,
    provider_names,
    split_conn_id,
)
from integrations_hub.ports.outside import HttpClient, HttpResponse


class ProviderHook(HttpHook):
    """`ProviderHook("hub_<provider>_<connection>").get_json("/some/path")` asks the provider's API, signed in.

    Its requests draw on the connection's shared budget, are retried as the provider says, renew the token once
    on 401, go to the provider's hosts only and stay out of the logs. It reads: other methods are refused.
    Inside `with ProviderHook(...) as hook:` requests share their connections. docs/provider-hook.md has an example.
    """

    conn_name_attr = "hub_conn_id"
    hook_name = "Integrations Hub"

    def __init__(self, hub_conn_id: str, method: str = "GET", **kwargs: Any) -> None:
        super().__init__(method=method, http_conn_id=hub_conn_id, **kwargs)
        self._http: HttpClient | None = None
        self._opened: Any = None

    def __enter__(self) -> ProviderHook:
        self._opened = self._client()
        self._http = self._opened.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        opened, self._opened, self._http = self._opened, None, None
        opened.__exit__(kind, error, trace)

    def get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of one GET, None when it is empty. Raises the Hub's errors (errors.py)."""
        answer = self._get(path, params or {})
        return json.loads(answer.content) if answer.content else None

    def run(  # type: ignore[override]
        self,
        endpoint: str | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Any:
        """HttpHook's own way to ask: `data` is the query, a requests.Response the answer. Raises ConfigurationError for what the Hub doesn't send."""
        if self.method != "GET" or headers or extra_options or request_kwargs:
            raise ConfigurationError(
                f"The Hub's hook only reads: {self.method} {endpoint or ''} with headers or options is not sent.",
                hint="Use GET with a query; for anything else use an HttpHook with a connection of your own.",
                code="HOOK_READS_ONLY",
            )
        from integrations_hub.transport.session import as_response

        return as_response(self._get(f"/{(endpoint or '').lstrip('/')}", data or {}))

    def get_conn(self, *_: Any, **__: Any) -> NoReturn:
        """A session of its own would leave the shared budget and the guard on hosts."""
        raise ConfigurationError(
            "The Hub's hook gives no session of its own.",
            hint="Use get_json(path, params) or run(endpoint, data).",
            code="HOOK_READS_ONLY",
        )

    def test_connection(self) -> tuple[bool, str]:
        """Airflow's Test button: the provider's cheapest request."""
        from integrations_hub import wiring
        from integrations_hub.errors import HubError

        try:
            provider = wiring.registry().get_provider(self.served(self.http_conn_id).provider_key)
            self._get(provider.http.test_request.path, provider.http.test_request.query)
        except HubError as error:
            return False, f"{error.message} {error.hint}"
        return (
            True,
            "The provider answers. The Hub's own test (GET /hub/api/integrations/.../test) tells more.",
        )

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Where the API is, without the token. Raises as `served`."""
        served = cls.served(conn_id)
        return Connection(conn_id=conn_id, conn_type=served.provider_key, host=served.api_base_url)

    @staticmethod
    def served(conn_id: str) -> ServedConnection:
        """What the Hub's own tasks get, ready to use.

        Raises ConfigurationError for an id that is no Hub connection's, ConnectionNotReady or TokenNotReady.
        """
        served = served_connection(*_names(conn_id))
        if served.state == "refreshing":
            raise TokenNotReady(f"{conn_id}: {served.reason}.", retry_after_s=1, hint=served.hint)
        if served.state != "ready":
            raise ConnectionNotReady(f"{conn_id}: {served.reason}.", hint=served.hint)
        return served

    def _get(self, path: str, params: Mapping[str, str]) -> HttpResponse:
        if self._http is not None:
            return self._http.get(path, params)
        with self._client() as http:
            return http.get(path, params)

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        """The provider's own client, as a stage of the Hub gets it."""
        from integrations_hub import wiring
        from integrations_hub.store.connections import PostgresConnectionStore

        provider_key, key = _names(self.http_conn_id)
        database = task_database()
        try:
            connection = PostgresConnectionStore(database).get(provider_key, key)
            with wiring.provider_http(
                database=database,
                connection=connection,
                lookup=lambda: served_connection(provider_key, key),
                request_id=f"hook-{uuid.uuid4().hex[:12]}",
                environ=os.environ,
            ) as http:
                yield http
        finally:
            database.close()


def _names(conn_id: str) -> tuple[str, str]:
    names = split_conn_id(conn_id)
    if names is None:
        raise ConfigurationError(
            f"{conn_id!r} is not the id of a Hub connection.",
            hint="Use hub_<provider>_<connection> as the Hub shows it.",
        )
    return names


def __getattr__(name: str) -> type[ProviderHook]:
    """Airflow wants a class of its own per connection type: made from the provider folders, e.g. AcmeHook."""
    for key, label in provider_names().items():
        if name == hook_class_name(key):
            return type(name, (ProviderHook,), {"conn_type": key, "hook_name": label})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
