"""Checks of everything that a start needs, a sentence each. `guard` runs those that stop a start."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from integrations_hub import wiring
from integrations_hub.admin import maintenance
from integrations_hub.admin_wiring import secrets
from integrations_hub.cli.databases import check_server, check_url
from integrations_hub.cli.ports import is_free
from integrations_hub.cli.state import State, is_ours, state_folder
from integrations_hub.domain.feature_flag import is_enabled
from integrations_hub.errors import (
    ConfigurationError,
    DatabaseUnusable,
    HubError,
    ProviderUnreachable,
    SecretKeyMissing,
    SettingInvalid,
)
from integrations_hub.store.database import Database
from integrations_hub.store.migrate import current, head
from integrations_hub.transport.hosts import check_base_url
from integrations_hub.vault.state_dir import ID_FILE, instance_id

_FREE_BYTES_NEEDED = 500 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Finding:
    """One check: what was found and, when it is not good, what to do."""

    check: str
    ok: bool
    text: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.ok else 'BAD '} {self.check}: {self.text}"
        return line if self.ok else f"{line}\n     What to do: {self.hint}"

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return asdict(self)


def diagnose(environ: Mapping[str, str], repository: Path, port: int) -> list[Finding]:
    """All checks, whatever the others found."""
    state = state_folder(environ, repository)
    checks: dict[str, Callable[[], str]] = {
        "Python": check_python,
        "provider files": check_providers,
        "secret key": lambda: check_secret_key(environ),
        "instance": lambda: check_instance(environ, state),
        "public address": lambda: check_public_url(environ),
        "identity servers": lambda: check_identity_servers(environ),
        "state folder": lambda: check_state(state),
        "maintenance": lambda: tell_maintenance(environ, state),
        "disk": lambda: check_disk(state),
        "port": lambda: check_port(port, state),
        "database": lambda: check_database(environ),
        "stored secrets": lambda: check_stored_secrets(environ, state),
    }
    return [_find(name, check) for name, check in checks.items()]


def guard(environ: Mapping[str, str], state: Path) -> None:
    """Raise the first thing that makes a start useless; ports and databases are checked where they are taken."""
    check_python()
    check_providers()
    check_secret_key(environ)
    check_public_url(environ)
    check_state(state)
    check_disk(state)
    check_identity_servers(environ)


def check_python() -> str:
    """The running interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if not (3, 10) <= sys.version_info[:2] < (3, 15):
        raise ConfigurationError(
            f"This is Python {found}; the Hub needs 3.10 to 3.14.",
            hint="Name another one: make PYTHON=/path/to/python3 setup",
        )
    return found


def check_providers() -> str:
    """Every provider.json. Raises MetadataInvalid with every error of the file."""
    providers = wiring.registry().list_providers()
    return ", ".join(provider.key for provider in providers) or "none installed"


def check_secret_key(environ: Mapping[str, str]) -> str:
    """The key ring; who says INTEGRATIONS_ENABLED=true himself brings the key himself."""
    enabled, setting = (
        environ.get("INTEGRATIONS_ENABLED", ""),
        environ.get("INTEGRATIONS_SECRET_KEY", ""),
    )
    if setting:
        wiring.keyring(environ)
        return "INTEGRATIONS_SECRET_KEY holds usable keys."
    if enabled.lower() == "true":
        raise SecretKeyMissing(
            "INTEGRATIONS_ENABLED is true, but INTEGRATIONS_SECRET_KEY is not set."
        )
    return "INTEGRATIONS_SECRET_KEY is not set; `hub up` and `hub demo` make a key in the state folder."


def check_stored_secrets(environ: Mapping[str, str], state: Path) -> str:
    """Whether the ring opens every stored secret. Raises SecretKeyDropped with the rows per key."""
    url = environ.get("HUB_DATABASE_URL", "")
    if not url:
        return "The embedded PostgreSQL's are checked when the Hub starts."
    if current(url) != head():
        return "There are none that this code could read: the tables are not at its revision."
    ring = ring_setting(environ, state)
    if not ring:
        return "INTEGRATIONS_SECRET_KEY is not set here, so they were not opened."
    refuse_dropped_keys(url, {**environ, "INTEGRATIONS_SECRET_KEY": ring})
    return "INTEGRATIONS_SECRET_KEY opens all of them."


def ring_setting(environ: Mapping[str, str], state: Path) -> str:
    """INTEGRATIONS_SECRET_KEY, else the key that `hub up` keeps in the state folder; never makes one."""
    given = environ.get("INTEGRATIONS_SECRET_KEY", "")
    return given or State(state).noted("secrets.json").get("integrations_key", "")


def refuse_dropped_keys(url: str, environ: Mapping[str, str]) -> None:
    """Raise SecretKeyDropped, with the rows per key, before anything starts without a key in use."""
    if not is_enabled(environ) or not environ.get("INTEGRATIONS_SECRET_KEY"):
        return
    database = Database.from_url(url)
    try:
        secrets(database, environ).refuse_dropped_keys()
    finally:
        database.close()


def check_instance(environ: Mapping[str, str], state: Path) -> str:
    """Which Hub this is: a copy of its database elsewhere leaves the tokens alone."""
    if environ.get("HUB_INSTANCE_ID", "").strip():
        return f"HUB_INSTANCE_ID is {instance_id(environ)}."
    made = state / ID_FILE
    if not made.exists():
        return f"HUB_INSTANCE_ID is not set; the first start makes an id in {state}."
    return f"{instance_id({'HUB_STATE_DIR': str(state)})}, made in {state}."


def check_public_url(environ: Mapping[str, str]) -> str:
    """HUB_PUBLIC_URL: https, or plain http on loopback. Raises SettingInvalid."""
    url = environ.get("HUB_PUBLIC_URL", "").strip()
    if not url:
        return "HUB_PUBLIC_URL is not set: people sign in at a provider from this machine only."
    return check_base_url(url, setting="HUB_PUBLIC_URL")


def check_identity_servers(environ: Mapping[str, str]) -> str:
    """Identity servers that a setting puts on this machine (a sandbox): they must answer before anything starts."""
    told = []
    for provider in wiring.registry().list_providers():
        name = f"{provider.oauth.env_prefix}_AUTH_BASE_URL"
        url = environ.get(name, "")
        if not url:
            continue
        check_base_url(url, setting=name)
        if urlsplit(url).hostname in _LOOPBACK:
            check_answers(name, url)
        told.append(f"{provider.key} at {url}")
    return "; ".join(told) or "as the provider files name them"


def check_answers(setting: str, url: str) -> None:
    """Raise ProviderUnreachable when nothing answers at `url`."""
    try:
        httpx.get(f"{url.rstrip('/')}/.well-known/openid-configuration", timeout=5, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderUnreachable(
            f"The sandbox or identity server at {url} ({setting}) does not answer: {error}.",
            hint=f"Start it (`hub sandbox <provider>`), or correct or unset {setting}.",
        ) from error


def check_state(folder: Path) -> str:
    """Whether we may write there, and nobody else may read."""
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise SettingInvalid(
            f"The state folder {folder} cannot be written.",
            hint="Set HUB_STATE_DIR to a folder of your own.",
        )
    open_to_others = stat.S_IMODE(folder.stat().st_mode) & 0o077 if parent == folder else 0
    if open_to_others and not is_ours(folder):
        raise SettingInvalid(
            f"The state folder {folder} holds other files, and other users may enter it.",
            hint="Set HUB_STATE_DIR to a folder of its own, or close this one: chmod 700.",
        )
    return str(folder)


def tell_maintenance(environ: Mapping[str, str], state: Path) -> str:
    """Never wrong, but worth knowing when nothing is synced."""
    why = maintenance.reason({**environ, "HUB_STATE_DIR": str(state)})
    return "off" if why is None else f"on: {why}; nothing is changed until `hub maintenance off`"


def check_disk(folder: Path) -> str:
    """Room for PostgreSQL, logs and Airflow."""
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < _FREE_BYTES_NEEDED:
        raise ConfigurationError(
            f"Only {free // 1024**2} MB are free at {parent}; a start needs 500 MB.",
            hint="Free disk space, or set HUB_STATE_DIR to a folder on a larger disk.",
        )
    return f"{free // 1024**3} GB free at {parent}"


def check_port(port: int, state: Path) -> str:
    """Whether Airflow could listen there."""
    if port and not is_free(port):
        lock = state / "lock"
        holder = lock.read_text(encoding="utf-8").strip() if lock.exists() else ""
        ours = f" A Hub runs on {state} as process {holder}." if holder else ""
        raise ConfigurationError(
            f"Port {port} on 127.0.0.1 is busy.{ours}",
            hint="Stop the program that uses it, or choose another port with --port.",
            code="PORT_BUSY",
        )
    return f"{port} is free" if port else "any free one"


def check_database(environ: Mapping[str, str]) -> str:
    """Address, server version and schema revision of HUB_DATABASE_URL."""
    url = environ.get("HUB_DATABASE_URL", "")
    if not url:
        return "HUB_DATABASE_URL is not set: an embedded PostgreSQL is used."
    check_url(url)
    major, revision = check_server(url), current(url)
    if revision not in (None, head()):
        raise DatabaseUnusable(
            f"The Hub's tables are at revision {revision}; this code needs {head()}.",
            hint="Run `hub db upgrade`; if the revision is newer than this code, start the newer release.",
        )
    return f"PostgreSQL {major}, tables {'at ' + revision if revision else 'not made yet'}."


def _find(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except HubError as error:
        return Finding(name, False, error.message, error.hint)
