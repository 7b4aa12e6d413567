"""The physical floor: pages ahead, COPY, one anti-join before one upsert, nothing else.

No restart, no plan of changes, no quarantine, no policy: what is left when a sync gives up every promise.
It prints one line of JSON. Environment: API_URL, API_TOKEN, DATABASE_URL, MODE full|delta|nochange, PAGE_SIZE.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson
import psycopg

FIELDS = (
    "id", "code", "name", "client", "clientId", "status", "startDate", "dueDate", "manager", "principal",
    "contractAmount", "percentComplete", "currencyName", "purchaseOrderNumber", "lastUpdated",
)  # fmt: skip
COLUMNS = (
    "external_id", "code", "name", "client", "client_id", "status", "start_date", "due_date", "manager", "principal",
    "contract_amount", "percent_complete", "currency", "po_number", "source_updated_at",
)  # fmt: skip
DDL = """
CREATE TABLE IF NOT EXISTS projects (connection_id int NOT NULL DEFAULT 1, external_id text NOT NULL, code text, name text,
    client text, client_id text, status int, start_date timestamptz, due_date timestamptz, manager text, principal text,
    contract_amount numeric(16,2), percent_complete numeric(6,2), currency text, po_number text, source_updated_at timestamptz,
    id bigserial PRIMARY KEY, UNIQUE (connection_id, external_id));
CREATE TABLE IF NOT EXISTS links (provider text, object_type text, connection_id int, external_id text, local_id bigint,
    PRIMARY KEY (provider, object_type, connection_id, external_id));
CREATE TABLE IF NOT EXISTS sync_state (connection_id int PRIMARY KEY, hwm text)
"""
THREADS = 4
API = urlsplit(os.environ["API_URL"])
PAGE = int(os.environ.get("PAGE_SIZE", "1000"))
MODE = os.environ.get("MODE", "full")
_local = threading.local()


def fetch(number: int, where: str) -> bytes:
    """One page as it came; b"[]" past the end."""
    connection = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = http.client.HTTPConnection(
            API.hostname or "", API.port, timeout=60
        )
    query = f"{API.path}/project?page={number},{PAGE}&fields={','.join((*FIELDS, 'parentId'))}"
    query += f"&where={quote(where)}" if where else ""
    connection.request("GET", query, headers={"Authorization": f"Bearer {os.environ['API_TOKEN']}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status == 204:
        return b"[]"
    if answer.status != 200:
        raise RuntimeError(answer.status)
    return body


def stage(db: psycopg.Connection, where: str) -> tuple[int, str]:
    """COPY every top-level record; returns their count and the greatest stamp."""
    get, mark, total = itemgetter(*FIELDS), "", 0
    ahead = 1 if MODE == "delta" else THREADS
    db.execute(
        f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT {','.join(COLUMNS)} FROM projects WITH NO DATA"
    )
    copy_sql = f"COPY stage ({','.join(COLUMNS)}) FROM STDIN"
    with ThreadPoolExecutor(ahead) as pool, db.cursor() as cursor, cursor.copy(copy_sql) as copy:
        numbers = itertools.count(1)
        waiting = deque(pool.submit(fetch, next(numbers), where) for _ in range(ahead))
        while waiting:
            records = orjson.loads(waiting.popleft().result())
            if len(records) == PAGE:
                waiting.append(pool.submit(fetch, next(numbers), where))
            for record in records:
                mark = max(mark, record["lastUpdated"])
                if record["parentId"] is None:
                    copy.write_row(get(record))
                    total += 1
            if len(records) < PAGE:
                for future in waiting:
                    future.cancel()
                break
    return total, mark


def apply(db: psycopg.Connection) -> tuple[int, int]:
    """Insert what is new, update what differs; returns both counts."""
    columns, values = ",".join(COLUMNS), COLUMNS[1:]
    staged = ",".join(f"s.{c}" for c in values)
    kept = ",".join(f"q.{c}" for c in values)
    db.execute("ANALYZE stage")
    row = db.execute(
        f"""WITH up AS (
            INSERT INTO projects AS p (connection_id, {columns})
            SELECT 1, {",".join(f"s.{c}" for c in COLUMNS)}
              FROM stage s LEFT JOIN projects q ON q.connection_id = 1 AND q.external_id = s.external_id
             WHERE q.id IS NULL OR ({staged}) IS DISTINCT FROM ({kept})
            ON CONFLICT (connection_id, external_id) DO UPDATE SET {",".join(f"{c}=EXCLUDED.{c}" for c in values)}
            RETURNING id, external_id, (xmax = 0) AS fresh),
        ln AS (INSERT INTO links SELECT 'bqe', 'project', 1, external_id, id FROM up WHERE fresh ON CONFLICT DO NOTHING)
        SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM up"""
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def peak_mb() -> int:
    """Peak resident memory of this program in MB; getrusage would tell its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """One run in one transaction."""
    begun, cpu = time.perf_counter(), time.process_time()
    with psycopg.connect(os.environ["DATABASE_URL"]) as db:
        db.execute(DDL)
        db.commit()
        where = ""
        if MODE == "delta":
            found = db.execute("SELECT hwm FROM sync_state").fetchone()
            where = f"lastUpdated>'{found[0]}'" if found else ""
        rows, mark = stage(db, where)
        inserted, updated = apply(db)
        if MODE != "nochange" and mark:
            db.execute(
                "INSERT INTO sync_state VALUES (1, %s) ON CONFLICT (connection_id) DO UPDATE SET hwm = EXCLUDED.hwm",
                (mark,),
            )
    figures = {
        "work_s": round(time.perf_counter() - begun, 3),
        "work_cpu_s": round(time.process_time() - cpu, 3),
        "max_rss_mb": peak_mb(),
        "rows": rows,
        "written": inserted + updated,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
