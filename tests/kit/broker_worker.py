"""A process that serves connections on order, as an api-server does; run by tests.kit.broker_race.

Orders are JSON lines on stdin, each answered by one JSON line on stdout, in any order. A connection
is asked for again each second while it is `refreshing` or the database is away, as tasks do.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from typing import Any

from integrations_hub import wiring
from integrations_hub.domain.connection import ServedConnection
from integrations_hub.errors import DatabaseUnavailable
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from tests.kit import bad_brokers

_OUT = threading.Lock()
_WAIT_S = 1.0  # the rest of the 3 s is for 16 processes on two cores


def main() -> None:
    """Until stdin ends; refreshes under way are finished first."""
    _tell({"ready": os.getpid()})
    for line in sys.stdin:
        order = json.loads(line)
        threading.Thread(target=_obey, args=(order,), daemon=False).start()


def _obey(order: dict[str, Any]) -> None:
    database = Database.from_url(os.environ["HUB_DATABASE_URL"])
    try:
        if "reject" in order:
            PostgresTokenStore(database).reject(order["serve"], order["reject"])
        _tell({"order": order["order"], **_served(database, order)})
    except Exception as error:  # noqa: BLE001 - the parent must hear of it
        _tell(
            {"order": order["order"], "state": f"{type(error).__name__}: {error}", "slowest_s": 0}
        )
    finally:
        database.close()


def _served(database: Database, order: dict[str, Any]) -> dict[str, Any]:
    broker = bad_brokers.made(os.environ.get("BROKER", ""), database, os.environ)
    slowest, end = 0.0, time.monotonic() + order["for_s"]
    while True:
        started = time.monotonic()
        try:
            served = broker.serve(order["serve"], wait_s=_WAIT_S)
        except DatabaseUnavailable:
            served = ServedConnection("refreshing", "", "", reason="the database is away")
        slowest = max(slowest, time.monotonic() - started)
        if served.state != "refreshing" or time.monotonic() > end:
            return {
                "state": served.state,
                "version": served.token_version,
                "token": hashlib.sha256(served.access_token.encode()).hexdigest()[:12],
                "reason": served.reason,
                "hint": served.hint,
                "slowest_s": slowest,
            }
        time.sleep(order.get("again_s", 1.0))


def _tell(answer: dict[str, Any]) -> None:
    with _OUT:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    wiring.auth_client(
        wiring.registry().get_provider("bqe"), os.environ
    )  # imports come before the race
    main()
