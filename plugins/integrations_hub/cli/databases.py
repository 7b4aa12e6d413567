"""Which PostgreSQL the stack uses: HUB_DATABASE_URL, else an embedded one; and the two databases on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.errors import DatabaseUnusable, SettingInvalid
from integrations_hub.store.server import create_database, server_version

_OLDEST = 14
_FORM = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Databases:
    """Addresses of the Hub's and of Airflow's database; `embedded` is the server when it is ours."""

    hub_url: str
    airflow_url: str
    embedded: EmbeddedPostgres | None


def open_databases(environ: Mapping[str, str], folder: Path, *, fsync: bool = True) -> Databases:
    """Start the embedded server in `folder` or check the given one; both databases exist afterwards."""
    given = environ.get("HUB_DATABASE_URL", "")
    if given:
        return _given(given, environ)
    server = EmbeddedPostgres(folder, fsync=fsync)
    hub_url = server.start()
    try:
        return Databases(hub_url, server.create_database("airflow"), server)
    except BaseException:
        server.stop("immediate")
        raise


def check_url(url: str) -> str:
    """The name of the database in a PostgreSQL address. Raises SettingInvalid with the form expected."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("postgresql", "postgres") and bool(parts.hostname)
        usable = usable and (parts.port or 5432) > 0
    except ValueError:
        usable = False
    name = urlsplit(url).path.lstrip("/") if usable else ""
    if not name:
        raise SettingInvalid(
            "HUB_DATABASE_URL is not the address of a PostgreSQL database.",
            hint=f"Write it as {_FORM}.",
        )
    return name


def check_server(url: str) -> int:
    """The major version of the server at `url`. Raises DatabaseUnusable when it is too old or does not answer."""
    major = server_version(url) // 10000
    if major < _OLDEST:
        raise DatabaseUnusable(
            f"The database server is PostgreSQL {major}; the Hub needs {_OLDEST} or newer.",
            hint="Point HUB_DATABASE_URL at a newer server.",
        )
    return major


def _given(url: str, environ: Mapping[str, str]) -> Databases:
    name = check_url(url)
    check_server(url)
    airflow_url = environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    if not airflow_url:
        airflow_url = urlunsplit(urlsplit(url)._replace(path=f"/{name}_airflow"))
        create_database(url, f"{name}_airflow")
    return Databases(url, f"postgresql://{airflow_url.partition('://')[2]}", None)
