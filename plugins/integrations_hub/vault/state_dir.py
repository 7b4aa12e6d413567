"""What the broker keeps outside the database: which Hub this is, and new pairs the database refused."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from integrations_hub.errors import SettingInvalid
from integrations_hub.ports.credentials import NewPair, RefreshClaim, Sealed

ID_FILE = "instance_id"
_LONGEST_ID = 100


def state_dir(environ: Mapping[str, str]) -> Path | None:
    """HUB_STATE_DIR, else AIRFLOW_HOME; None without both."""
    folder = environ.get("HUB_STATE_DIR") or environ.get("AIRFLOW_HOME")
    return Path(folder).expanduser() if folder else None


def instance_id(environ: Mapping[str, str]) -> str:
    """HUB_INSTANCE_ID, else an id made once in the state folder; "" without any such place.

    It must not lie in the database, or a copy would bring it along. Raises SettingInvalid.
    """
    given = environ.get("HUB_INSTANCE_ID", "").strip()
    if given:
        return _checked(given, "HUB_INSTANCE_ID")
    folder = state_dir(environ)
    if folder is None:
        return ""
    path = folder / ID_FILE
    try:
        if not path.exists():
            _make(path)
        return _checked(path.read_text(encoding="utf-8").strip(), str(path))
    except OSError as error:
        raise SettingInvalid(
            f"The id of this Hub cannot be kept in {folder} ({type(error).__name__}).",
            hint="Set HUB_INSTANCE_ID, or make HUB_STATE_DIR writable.",
        ) from error


def _make(path: Path) -> None:
    """Whole or not at all, and by one of many starters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{ID_FILE}.{uuid.uuid4().hex}")
    _write_private(draft, uuid.uuid4().hex)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _checked(found: str, where: str) -> str:
    if not found or len(found) > _LONGEST_ID or not found.isascii() or not found.isprintable():
        raise SettingInvalid(
            f"{where} does not hold a usable id.",
            hint=f"Give each installation an id of its own, at most {_LONGEST_ID} plain characters.",
        )
    return found


class TokenSpool:
    """Fulfils ports.Spool: one file per pair, sealed as in the database, readable by us alone."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def put(self, claim: RefreshClaim, pair: NewPair) -> None:
        """Raises OSError, also without a folder."""
        path = self._path(claim)
        if path is None:
            raise FileNotFoundError("neither HUB_STATE_DIR nor AIRFLOW_HOME is set")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {
            "version": claim.version,
            "intent": claim.intent,
            "key_id": pair.tokens.key_id,
            "ciphertext": base64.b64encode(pair.tokens.ciphertext).decode(),
            "life_s": pair.life_s,
            "answered_at": pair.answered_at.isoformat(),
            "api_base_url": pair.api_base_url,
        }
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        _write_private(draft, json.dumps(kept))
        draft.replace(path)

    def find(self, connection_id: int) -> list[tuple[RefreshClaim, NewPair]]:
        """By version."""
        if self._folder is None or not self._folder.exists():
            return []
        found = [
            _read(path, connection_id) for path in self._folder.glob(f"{connection_id}-*.json")
        ]
        return sorted((one for one in found if one), key=lambda one: one[0].version)

    def drop(self, claim: RefreshClaim) -> None:
        """No effect when another process was faster."""
        path = self._path(claim)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, claim: RefreshClaim) -> Path | None:
        name = f"{claim.connection_id}-{claim.version}.json"
        return self._folder / name if self._folder else None


def _read(path: Path, connection_id: int) -> tuple[RefreshClaim, NewPair] | None:
    """None when another process picked it up meanwhile."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    claim = RefreshClaim(connection_id, "", int(kept["version"]), kept["intent"])
    sealed = Sealed(str(kept["key_id"]), base64.b64decode(kept["ciphertext"]))
    answered_at = datetime.fromisoformat(kept["answered_at"])
    return claim, NewPair(sealed, int(kept["life_s"]), answered_at, kept["api_base_url"])


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
