"""What a container does once before the stack starts (compose service `init`)."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from integrations_hub.cli.databases import check_url
from integrations_hub.cli.doctor import refuse_dropped_keys
from integrations_hub.cli.reporting import tell
from integrations_hub.cli.state import ADMIN
from integrations_hub.errors import DatabaseUnusable, SettingInvalid
from integrations_hub.store.migrate import upgrade
from integrations_hub.store.server import create_database

_AIRFLOW_DATABASE = "airflow"


def run_prepare(environ: Mapping[str, str]) -> None:
    """Migrate both databases when RUN_MIGRATIONS_ON_START=true; write the login file when a password is given."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if environ.get("RUN_MIGRATIONS_ON_START", "").lower() == "true":
        url = environ.get("HUB_DATABASE_URL", "")
        check_url(url)
        tell("Running migrations…")
        tell(f"The Hub's tables are at revision {upgrade(url)}.")
        refuse_dropped_keys(url, environ)
        create_database(url, _AIRFLOW_DATABASE)
        _migrate_airflow()
        tell("Airflow's tables are up to date.")
    password = environ.get("HUB_ADMIN_PASSWORD", "")
    if password:
        write_login(environ, password)


def _migrate_airflow() -> None:
    """In a process of its own: only orchestration imports airflow."""
    done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
    if done.returncode != 0:
        raise DatabaseUnusable(
            f"`airflow db migrate` ended with exit code {done.returncode}; its output stands above.",
            hint="Check AIRFLOW__DATABASE__SQL_ALCHEMY_CONN and mend what the output names.",
        )


def write_login(environ: Mapping[str, str], password: str) -> None:
    """The file from which Airflow's SimpleAuthManager reads passwords, mode 0600."""
    name = environ.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", "")
    if not name:
        raise SettingInvalid(
            "HUB_ADMIN_PASSWORD is set, but AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE names no file.",
            hint="Set it to a path that init and api-server share.",
        )
    path = Path(name)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({ADMIN: password}, file)
    draft.replace(path)
