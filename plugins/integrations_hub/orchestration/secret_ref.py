"""Static secrets that stay where the site keeps them: an Airflow connection, or the vault behind Airflow's look-up.

Read in the api-server at the moment of use and never copied: login is the app's client id, password its secret.
"""

from __future__ import annotations

from typing import Any

from integrations_hub.errors import SettingInvalid

_SCHEME = "airflow:"


def resolve(ref: str) -> tuple[str, str]:
    """(client id, client secret) of `airflow:<conn_id>`.

    Raises SettingInvalid, which names the connection and never what it holds.
    """
    from airflow.sdk.log import mask_secret

    conn_id = ref.removeprefix(_SCHEME)
    found = _looked_up(conn_id)
    if found is None:
        raise SettingInvalid(
            f"The app's id and secret are kept in Airflow's connection {conn_id!r}, which Airflow does not know.",
            hint="Create it in Airflow or in your secrets backend, or correct the connection's secret_ref.",
            code="SECRET_REF_UNKNOWN",
        )
    if not found.login or not found.password:
        raise SettingInvalid(
            f"Airflow's connection {conn_id!r} holds no login or no password.",
            hint="Put the app's client id into login and its secret into password.",
            code="SECRET_REF_EMPTY",
        )
    mask_secret(found.password)
    return str(found.login), str(found.password)


def _looked_up(conn_id: str) -> Any:
    """Airflow's own search path: the site's backend (through ours), environment, Airflow's database.

    A backend that fails ends the search: what the next one holds may be an old secret.
    """
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        try:
            found = backend.get_connection(conn_id)
        except Exception as error:  # noqa: BLE001 - its text may quote what a vault answered
            raise SettingInvalid(
                f"Airflow's connection {conn_id!r} cannot be read ({type(error).__name__}).",
                hint="Look at the api-server's log and at your secrets backend.",
                code="SECRET_REF_UNREADABLE",
            ) from None
        if found:
            return found
    return None
