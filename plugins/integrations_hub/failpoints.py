"""Named places where a test may kill, freeze or break this process; off unless HUB_TESTING=1.

`HUB_FAILPOINT=name:nth:action`, action = kill | sleep | raise: the nth time any process of the same
HUB_STATE_DIR passes the place (without HUB_STATE_DIR: this process), the action happens, once.
`HUB_FAILPOINT=@file` reads the order from a file at every place, so that a running stack can be given
one after the other; a sleep then ends as soon as the file orders something else.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_SLEEP_S = 3600
_passed: dict[str, int] = {}


class FailpointError(RuntimeError):
    """What action `raise` raises: an error that no part of the Hub expects."""


def hit(name: str) -> None:
    """Do nothing, or what the environment orders for this place."""
    if "HUB_FAILPOINT" not in os.environ or os.environ.get("HUB_TESTING") != "1":
        return
    wanted = _wanted()
    place, _, rest = wanted.partition(":")
    nth, _, action = rest.partition(":")
    if place == name and _pass_number(name) == int(nth):
        _act(name, action, wanted)


def _wanted() -> str:
    order = os.environ.get("HUB_FAILPOINT", "")
    if not order.startswith("@"):
        return order
    file = Path(order[1:])
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def _pass_number(name: str) -> int:
    """How often the place was passed, this time included; a retried task goes on counting."""
    folder = os.environ.get("HUB_STATE_DIR")
    if not folder:
        _passed[name] = _passed.get(name, 0) + 1
        return _passed[name]
    places = Path(folder) / "failpoints"
    places.mkdir(parents=True, exist_ok=True)
    number = 1
    while not _created(places / f"{name}.{number}"):
        number += 1
    return number


def _created(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _act(name: str, action: str, wanted: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "sleep":
        # short slices, so that a signal handler of the process still runs soon
        for _ in range(_SLEEP_S * 2):
            if _wanted() != wanted:
                return
            time.sleep(0.5)
    elif action == "raise":
        raise FailpointError(f"failpoint {name}")
    else:
        raise ValueError(f"HUB_FAILPOINT: action is {action!r}; expected kill, sleep or raise.")
