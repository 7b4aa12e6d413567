"""dlt as many would write it: rest_api source, merge by id, incremental by lastUpdated.

Runs in an environment of its own (tests/bench/requirements.txt). It prints one line of JSON.
Environment as floor.py, and STATE_DIR for dlt's own state.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from dlt.sources.rest_api import rest_api_source

FIELDS = (
    "id", "code", "name", "client", "clientId", "status", "startDate", "dueDate", "manager", "principal",
    "contractAmount", "percentComplete", "currencyName", "purchaseOrderNumber", "lastUpdated",
)  # fmt: skip
PAGE = int(os.environ.get("PAGE_SIZE", "1000"))


class PageComma(BasePaginator):
    """page=N,size from 1 until a short page."""

    def init_request(self, request: Any) -> None:
        self._number = 1
        self.update_request(request)

    def update_state(self, response: Any, data: list[Any] | None = None) -> None:
        self._has_next_page = bool(data) and len(data or ()) >= PAGE
        self._number += 1

    def update_request(self, request: Any) -> None:
        request.params = {**(request.params or {}), "page": f"{self._number},{PAGE}"}


def endpoint(mode: str) -> dict[str, Any]:
    """The projects endpoint; incremental but when everything is read again."""
    made: dict[str, Any] = {
        "path": "project",
        "data_selector": "$",
        "paginator": PageComma(),
        "response_actions": [{"status_code": 204, "action": "ignore"}],
    }
    if mode != "nochange":
        made["params"] = {
            "where": "lastUpdated>'{incremental.start_value}'",
            "orderBy": "lastUpdated asc",
        }
        made["incremental"] = {
            "cursor_path": "lastUpdated",
            "initial_value": "1970-01-01T00:00:00",
        }
    return made


def peak_mb() -> int:
    """Peak resident memory of this program in MB; getrusage would tell its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """One pipeline run."""
    begun, cpu = time.perf_counter(), time.process_time()
    source = rest_api_source(
        {
            "client": {
                "base_url": os.environ["API_URL"] + "/",
                "auth": {"type": "bearer", "token": os.environ["API_TOKEN"]},
            },
            "resources": [
                {
                    "name": "projects",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": endpoint(os.environ.get("MODE", "full")),
                    "processing_steps": [
                        {"filter": lambda record: record["parentId"] is None},
                        {"map": lambda record: {name: record[name] for name in FIELDS}},
                    ],
                }
            ],
        },
        name="bqe",
    )
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(os.environ["DATABASE_URL"]),
        dataset_name="bqe",
        pipelines_dir=os.environ["STATE_DIR"],
    )
    pipeline.run(source)
    figures = {
        "work_s": round(time.perf_counter() - begun, 3),
        "work_cpu_s": round(time.process_time() - cpu, 3),
        "max_rss_mb": peak_mb(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
