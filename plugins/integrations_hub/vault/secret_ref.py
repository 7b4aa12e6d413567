"""The app's id and secret where the site keeps them (secret_ref), instead of the environment's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.connection import Connection
from integrations_hub.errors import SettingInvalid

SecretResolver = Callable[[str], "tuple[str, str]"]
"""`airflow:<conn_id>` -> (client id, client secret); only Airflow's own processes have one."""


def app_environ(
    provider: Provider,
    connection: Connection,
    environ: Mapping[str, str],
    resolve: SecretResolver | None,
) -> Mapping[str, str]:
    """The environment with the app's id and secret from where the connection's secret_ref says.

    Raises SettingInvalid in a process without Airflow.
    """
    if connection.secret_ref is None:
        return environ
    if resolve is None:
        raise SettingInvalid(
            f"{connection.key} keeps its app's secret in {connection.secret_ref}, which only Airflow's "
            "api-server can read; this process runs without Airflow.",
            hint="Use the Hub that Airflow's api-server serves at /hub.",
            code="SECRET_REF_NEEDS_AIRFLOW",
        )
    client_id, client_secret = resolve(connection.secret_ref)
    prefix = provider.oauth.env_prefix
    own = {f"{prefix}_CLIENT_ID": client_id, f"{prefix}_CLIENT_SECRET": client_secret}
    return {**environ, **own}
