"""The hook behind the Hub's connection types: Airflow's HttpHook with a connection's short-lived access token."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection

from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import ConfigurationError, ConnectionNotReady, TokenNotReady
from integrations_hub.orchestration.hub_database import served_connection
from integrations_hub.orchestration.provider_folders import (
    hook_class_name,
    provider_names,
    split_conn_id,
)


class ProviderHook(HttpHook):
    """`ProviderHook("hub_<provider>_<connection>").run("some/path")` asks the provider's API, signed in.

    For data engineers' own Dags. Its requests do not yet draw on the connection's shared budget.
    """

    conn_name_attr = "hub_conn_id"
    hook_name = "Integrations Hub"

    def __init__(self, hub_conn_id: str, method: str = "GET", **kwargs: Any) -> None:
        super().__init__(method=method, http_conn_id=hub_conn_id, **kwargs)

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """API address and bearer header; nothing else of the connection becomes a header.

        Raises ConfigurationError for an id that is no Hub connection's, ConnectionNotReady or TokenNotReady.
        """
        served = cls.served(conn_id)
        header = {"Authorization": f"Bearer {served.access_token}"}
        return Connection(
            conn_id=conn_id,
            conn_type=served.provider_key,
            host=served.api_base_url,
            extra=json.dumps(header),
        )

    @staticmethod
    def served(conn_id: str) -> ServedConnection:
        """What the Hub's own tasks get, ready to use. Raises as `get_connection`."""
        names = split_conn_id(conn_id)
        if names is None:
            raise ConfigurationError(
                f"{conn_id!r} is not the id of a Hub connection.",
                hint="Use hub_<provider>_<connection> as the Hub shows it.",
            )
        served = served_connection(*names)
        if served.state == "refreshing":
            raise TokenNotReady(f"{conn_id}: {served.reason}.", retry_after_s=1, hint=served.hint)
        if served.state != "ready":
            raise ConnectionNotReady(f"{conn_id}: {served.reason}.", hint=served.hint)
        return served


def __getattr__(name: str) -> type[ProviderHook]:
    """Airflow wants a class of its own per connection type: made from the provider folders, e.g. AcmeHook."""
    for key, label in provider_names().items():
        if name == hook_class_name(key):
            return type(name, (ProviderHook,), {"conn_type": key, "hook_name": label})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
