"""A Dag that is nobody's of the Hub: it reads a Hub connection and asks the provider as anyone may.

GUEST_FOLDER: where the task says its pid and waits to be looked at.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from airflow.sdk import Connection, Variable, dag, task

_PR_SET_DUMPABLE = 4
_PATIENCE_S = 60


@dag(schedule=None)
def guest() -> None:
    @task
    def look() -> dict[str, Any]:
        from integrations_hub.orchestration.hook import ProviderHook

        served = Connection.get("hub_bqe_acme")
        with ProviderHook("hub_bqe_acme") as hook:
            rows = hook.get_json("/project", {"fields": "id", "page": "1,5"})
            again = hook.run("project", {"fields": "id", "page": "2,5"}).json()
        site = Connection.get("site_conn")
        _be_looked_at()
        return {
            "type": served.conn_type,
            "has_token": bool(served.password),
            "extra": served.extra_dejson,
            "rows": len(rows) + len(again),
            "site_login": site.login,
            "site_word": Variable.get("site_word"),
        }

    look()


def _be_looked_at() -> None:
    """Let an ancestor read this process's memory, as Airflow forbids by default, and wait for it."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    folder = Path(os.environ["GUEST_FOLDER"])
    (folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
    end = time.monotonic() + _PATIENCE_S
    while not (folder / "seen").exists() and time.monotonic() < end:
        time.sleep(0.1)


guest()
