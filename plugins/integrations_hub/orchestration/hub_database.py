"""How Airflow's processes reach what is not Airflow's: the Hub's database and a connection's access token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from integrations_hub.domain.connection import ServedConnection

if TYPE_CHECKING:
    import psycopg

    from integrations_hub.store.database import Database

CONN_ID = "hub_db"
_ENV = "AIRFLOW_CONN_HUB_DB"
_PARSE_TIMEOUT_S = 3


def task_database() -> Database:
    """The Hub's database through Airflow's connection `hub_db`; the caller closes it."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from integrations_hub.store.database import Database

    hook = PostgresHook(postgres_conn_id=CONN_ID)
    # the hook's annotation covers psycopg 2 as well; the provider we require opens psycopg 3
    return Database(connect=lambda: cast("psycopg.Connection[Any]", hook.get_conn()))


def parse_database() -> Database:
    """The same database for parsing: it gives up after 3 s, and asks Airflow only when the environment is silent."""
    from integrations_hub.store.database import Database

    url = os.environ.get(_ENV, "")
    if url.startswith(("postgres://", "postgresql://")):
        return Database.from_url(url, connect_timeout_s=_PARSE_TIMEOUT_S)
    return task_database()


def served_connection(provider_key: str, connection_key: str) -> ServedConnection:
    """A connection as Airflow's own look-up answers it (the secrets backend of the api-server does).

    A connection that Airflow doesn't know, or that holds no token, is `refused` with a reason: the backend is
    missing or could not answer.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    from integrations_hub.transport.log_guard import GUARD, forms_of

    conn_id = f"hub_{provider_key}_{connection_key}"
    try:
        found = Connection.get(conn_id)
    except AirflowNotFoundException:
        return _refused(provider_key, connection_key, f"Airflow knows no connection {conn_id}")
    extra = found.extra_dejson
    state = str(extra.get("state") or "")
    if not state:
        return _refused(provider_key, connection_key, f"{conn_id} was not answered by the Hub")
    if found.password:
        GUARD.hide(found.password)
        mask_secret(list(forms_of(found.password)))
    return ServedConnection(
        state=state,
        provider_key=provider_key,
        connection_key=connection_key,
        access_token=found.password or "",
        token_version=int(extra.get("token_version") or 0),
        api_base_url=found.host or "",
        reason=str(extra.get("reason") or ""),
        hint=str(extra.get("hint") or ""),
        code=str(extra.get("code") or ""),
    )


def _refused(provider_key: str, connection_key: str, reason: str) -> ServedConnection:
    return ServedConnection(
        state="refused",
        provider_key=provider_key,
        connection_key=connection_key,
        reason=reason,
        hint=(
            "Set AIRFLOW__SECRETS__BACKEND on the api-server to "
            "integrations_hub.orchestration.secrets_backend.HubSecretsBackend and restart it."
        ),
    )
