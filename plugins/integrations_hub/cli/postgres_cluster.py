"""Making a PostgreSQL data folder, and reading why a server would not start."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from integrations_hub.cli.postgres_binaries import account, check_disk
from integrations_hub.errors import ConfigurationError


def make_cluster(home: Path, binaries: Path, password: str, *, fsync: bool) -> Path:
    """The data folder below `home`, made when missing: superuser `hub`, scram, UTF-8, C.UTF-8.

    Complete or not at all: an interrupted first start leaves a draft that is thrown away.
    """
    data, draft, secret = home / "data", home / "data.draft", home / "password.draft"
    if data.exists():
        return data
    check_disk(home)
    shutil.rmtree(draft, ignore_errors=True)
    secret.unlink(missing_ok=True)
    draft.mkdir(mode=0o700)
    account().give(draft)
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
    account().give(secret)
    options = ["--username=hub", "--auth=scram-sha-256", f"--pwfile={secret}", f"--pgdata={draft}"]
    options += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    options += [] if fsync else ["--no-sync"]
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            [str(binaries / "initdb"), *options],
            cwd=home, env=server_environment(), capture_output=True, text=True, check=False,
            start_new_session=True, **account().process_arguments(),
        )  # fmt: skip
    finally:
        secret.unlink(missing_ok=True)
    if done.returncode != 0:
        raise cannot_start(_last_line(done.stderr) or "initdb failed", home)
    draft.rename(data)
    return data


def server_environment() -> dict[str, str]:
    """All that PostgreSQL's programs get of our environment."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def complaint(log: str) -> str:
    """The first line of a server's log that says why it ended."""
    found = (line for line in log.splitlines() if "FATAL" in line or "ERROR" in line)
    return next(found, _last_line(log))


def cannot_start(reason: str, home: Path) -> ConfigurationError:
    """The error for a server that ended with `reason`."""
    hint = f"Look at PostgreSQL's log, and at the folder {home}."
    if "No space left" in reason:
        hint = f"Free disk space where {home} lies."
    elif "Address already in use" in reason or "could not create any TCP" in reason:
        hint = "The port was taken in the meantime: start again."
    return ConfigurationError(f"The embedded PostgreSQL cannot start: {reason}", hint=hint)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""
