"""The state folder: one Hub's secrets, data, logs and the lock that lets one start use it at a time."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from cryptography.fernet import Fernet

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.postgres_binaries import private_folder
from integrations_hub.errors import ConfigurationError, SettingInvalid

ADMIN = "admin"


def repository() -> Path:
    """The folder with dags/ and plugins/: where this code was installed from, else the current one."""
    source = Path(__file__).resolve().parents[3]
    return source if (source / "dags").is_dir() else Path.cwd()


def state_folder(environ: Mapping[str, str], repository: Path) -> Path:
    """HUB_STATE_DIR, else `.hub` in the repository."""
    return Path(environ.get("HUB_STATE_DIR") or repository / ".hub").expanduser().resolve()


def is_ours(folder: Path) -> bool:
    """Whether a folder is a state folder or may become one: empty, or used as one before."""
    return (folder / "lock").exists() or not any(folder.iterdir())


class State:
    """The folder of one Hub, mode 0700. Usable by one process at a time, between `claim` and `release`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._claim: IO[str] | None = None

    @property
    def logs(self) -> Path:
        """One log file per component."""
        return private_folder(self.folder / "logs")

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME of every component."""
        return private_folder(self.folder / "airflow")

    @property
    def postgres(self) -> Path:
        """The embedded PostgreSQL's folder."""
        return self.folder / "postgres"

    @property
    def passwords_file(self) -> Path:
        """The file from which Airflow's SimpleAuthManager reads the generated password."""
        return self.folder / "login.json"

    @property
    def is_held(self) -> bool:
        """Whether this process holds the folder."""
        return self._claim is not None

    def claim(self) -> bool:
        """Take the folder; False when we hold it already. Raises ConfigurationError when another start does."""
        if self._claim is not None:
            return False
        private_folder(self.folder)
        if is_ours(self.folder):
            self.folder.chmod(0o700)
        claim = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            claim.seek(0)
            holder = claim.read().strip() or "unknown"
            claim.close()
            raise ConfigurationError(
                f"A Hub already runs on the state folder {self.folder} (process {holder}).",
                hint="Stop it, or set HUB_STATE_DIR to another folder.",
                code="ALREADY_RUNNING",
            ) from error
        claim.truncate(0)
        claim.write(str(os.getpid()))
        claim.flush()
        self._claim = claim
        return True

    def release(self) -> None:
        """Give the folder back; twice is once."""
        if self._claim is not None:
            self._claim.truncate(0)
            self._claim.close()
            self._claim = None

    def secret(self, name: str) -> str:
        """A secret that is made once and kept in a file that only we may read."""
        known = self._read("secrets.json")
        if name not in known:
            made = (
                Fernet.generate_key().decode()
                if name.endswith("_key")
                else secrets.token_urlsafe(32)
            )
            known[name] = made
            self._write("secrets.json", known)
        return known[name]

    def admin_password(self) -> str:
        """The generated password of the Airflow user `admin`; the file is what Airflow reads."""
        known = self._read(self.passwords_file.name)
        if ADMIN not in known:
            known[ADMIN] = secrets.token_urlsafe(12)
            self._write(self.passwords_file.name, known)
        return known[ADMIN]

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """Keep small facts between starts."""
        self._write(name, dict(values))

    def noted(self, name: str) -> dict[str, str]:
        """What `note` kept; empty when nothing was."""
        return self._read(name)

    def _read(self, name: str) -> dict[str, str]:
        path = self.folder / name
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {str(key): str(value) for key, value in found.items()}
        except (ValueError, AttributeError) as error:
            raise SettingInvalid(
                f"The file {path} is not readable as JSON.",
                hint="Restore it from a backup; without it, stored tokens cannot be decrypted.",
            ) from error

    def _write(self, name: str, values: Mapping[str, str]) -> None:
        """Replace the file at once, so that a kill leaves the old one or the new one."""
        draft = self.folder / f"{name}.draft"
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dict(values), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)


def remove_state(state: State) -> None:
    """Remove the folder and the embedded database with it. Raises ConfigurationError while a Hub runs on it."""
    if not state.folder.exists():
        return
    state.claim()
    try:
        EmbeddedPostgres(state.postgres).destroy()
        shutil.rmtree(state.folder)
    finally:
        state.release()
