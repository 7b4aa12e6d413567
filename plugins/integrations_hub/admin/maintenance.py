"""Maintenance mode: on while HUB_MAINTENANCE says so or the lock file lies in HUB_STATE_DIR.

Read anew each time (one look at the file system), so switching needs no restart of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integrations_hub.errors import MaintenanceMode, RunMustWait

LOCK_FILE = "maintenance.lock"
_ON = ("true", "1", "yes", "on")
_AGAIN_S = 60.0
_LONGEST_REASON = 200


def reason(environ: Mapping[str, str]) -> str | None:
    """Why the Hub is in maintenance, in the words of who switched it on; None when it is not.

    A process without HUB_STATE_DIR obeys HUB_MAINTENANCE alone.
    """
    if environ.get("HUB_MAINTENANCE", "").strip().lower() in _ON:
        return "HUB_MAINTENANCE is set"
    folder = environ.get("HUB_STATE_DIR", "")
    if not folder:
        return None
    try:
        text = (Path(folder).expanduser() / LOCK_FILE).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return "the lock file cannot be read"  # whoever made it meant it
    return " ".join(text.split())[:_LONGEST_REASON] or "the lock file is there"


def refuse(environ: Mapping[str, str]) -> None:
    """Raise MaintenanceMode while it is on: for what may simply not happen now."""
    why = reason(environ)
    if why is not None:
        raise MaintenanceMode(f"The Hub is in maintenance ({why}), so nothing is changed now.")


def pause(environ: Mapping[str, str]) -> None:
    """Raise RunMustWait while it is on: for a run under way, which goes on where it was."""
    why = reason(environ)
    if why is not None:
        raise RunMustWait(
            f"The Hub is in maintenance ({why}); the run waits.",
            seconds=_AGAIN_S,
            hint="Nothing to do: it goes on by itself when maintenance ends.",
        )


def switch_on(folder: Path, why: str) -> None:
    """Make the lock file; an existing one gets the new reason."""
    draft = folder / f"{LOCK_FILE}.draft"
    draft.write_text(f"{why}\n", encoding="utf-8")
    draft.replace(folder / LOCK_FILE)


def switch_off(folder: Path) -> None:
    """Remove the lock file; twice is once."""
    (folder / LOCK_FILE).unlink(missing_ok=True)
