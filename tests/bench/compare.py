"""`make bench-sync`: the floor, dlt and the Hub's engine on the same list, interleaved, every result checked row by row.

Each tool has a database of its own on one PostgreSQL and reads the BQE sandbox. A round is: everything, nothing changed, one per
cent changed. Printed: medians over the rounds, ratios pair by pair, and the first bar of each figure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.domain.stamps import parse_stamp
from tests.bench.measure import Cost, Server, run
from tests.kit.sandbox import SandboxProcess

HERE = Path(__file__).resolve().parent
TOKEN = "bench-token"
MODES = ("full", "nochange", "delta")
Rows = set[tuple[str, str, datetime | None]]


@dataclass(frozen=True)
class Tool:
    """`command(mode)` runs it; `rows` reads what it loaded: (external id, name, stamp)."""

    name: str
    command: Callable[[str], list[str]]
    rows_sql: str


@dataclass
class Cell:
    """All rounds of one tool in one mode."""

    costs: list[Cost] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Of a figure of `Cost`."""
        return statistics.median(getattr(cost, name) for cost in self.costs)


def tools(bench_python: str, api: str, url_of: Callable[[str], str]) -> list[Tool]:
    """The floor first: ratios are to it."""
    bench = [str(Path(sys.executable).with_name("hub")), "bench"]
    place = ["--api-url", api, "--database-url", url_of("hub")]
    made = subprocess.run([*bench, "prepare", *place], check=True, capture_output=True, text=True)
    hub = [*bench, "sync", "--json", *place, "--token", TOKEN, "--rule-id", made.stdout.strip()]
    return [
        Tool(
            "floor",
            lambda _: [bench_python, str(HERE / "floor.py")],
            "SELECT external_id, name, source_updated_at AT TIME ZONE 'UTC' FROM projects",
        ),
        Tool(
            "hub",
            lambda mode: [*hub, "--mode", mode],
            "SELECT l.external_id, p.name, l.source_updated_at FROM hub.projects p "
            "JOIN hub.integration_external_link l ON l.local_id = p.id",
        ),
        Tool(
            "dlt",
            lambda _: [bench_python, str(HERE / "peer_dlt.py")],
            "SELECT id, name, last_updated AT TIME ZONE 'UTC' FROM bqe.projects",
        ),
    ]


def truth(api: str) -> Rows:
    """Top-level records as the provider lists them now."""
    found: Rows = set()
    with httpx.Client(trust_env=False, timeout=60) as client:
        for number in range(1, 10_000):
            answer = client.get(
                f"{api}/project",
                params={"page": f"{number},1000", "fields": "id,name,lastUpdated,parentId"},
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            records = answer.json() if answer.status_code == 200 else []
            found |= {
                (r["id"], r["name"], parse_stamp(r["lastUpdated"]))
                for r in records
                if r["parentId"] is None
            }
            if len(records) < 1000:
                return found
    raise AssertionError("the list never ended")


def loaded(tool: Tool, url: str) -> Rows:
    """What the tool's database holds."""
    with psycopg.connect(url) as session:
        session.execute("SET TIME ZONE 'UTC'")
        return {(row[0], row[1], row[2]) for row in session.execute(tool.rows_sql)}


def check(tool: Tool, url: str, want: Rows) -> None:
    """Raises AssertionError with the first differences."""
    have = loaded(tool, url)
    if have != want:
        missing, extra = sorted(map(str, want - have))[:3], sorted(map(str, have - want))[:3]
        raise AssertionError(
            f"{tool.name}: {len(have)} rows, {len(want)} wanted; missing {missing}, extra {extra}"
        )


def one_round(
    made: list[Tool],
    server: Server,
    sandbox: SandboxProcess,
    url_of: Callable[[str], str],
    state: Path,
) -> Iterator[tuple[str, str, Cost, int]]:
    """(mode, tool, cost, requests), the tools in turn within each mode."""
    for mode in MODES:
        if mode == "delta":
            sandbox.control("POST", "/touch", {"roots": max(1, ARGS.records // 100)})
        want = truth(sandbox.api)
        for tool in made:
            url = url_of(tool.name)
            server.settle([url])
            sandbox.control("POST", "/requests/reset", {})
            environ = {
                **os.environ,
                "API_URL": sandbox.api,
                "API_TOKEN": TOKEN,
                "DATABASE_URL": url,
                "MODE": mode,
                "STATE_DIR": str(state / tool.name),
            }
            cost = run(tool.command(mode), environ, server, url)
            requests = int(sandbox.summary()["api_total"])
            check(tool, url, want)
            yield mode, tool.name, cost, requests


def measure(latency_ms: int) -> dict[tuple[str, str], Cell]:
    """All rounds at one latency: (mode, tool) -> cell."""
    cells: dict[tuple[str, str], Cell] = {}
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="hub-bench-")))
        server = opened.enter_context(EmbeddedPostgres(folder / "pg"))
        for number in range(ARGS.rounds):
            # a new list each round: what a round changed would lie in the overlap of the next one's delta
            listed = SandboxProcess(
                "--records", str(ARGS.records), "--latency-ms", str(latency_ms), "--no-quota", "--static-token", TOKEN
            )  # fmt: skip

            def url_of(name: str, number: int = number) -> str:
                return server.url_of(f"bench_{name}_{number}")

            for name in ("floor", "hub", "dlt"):
                server.create_database(f"bench_{name}_{number}")
            with listed as sandbox:
                made = [
                    tool
                    for tool in tools(ARGS.bench_python, sandbox.api, url_of)
                    if tool.name in ARGS.tools
                ]
                measured = Server(server.pid or 0, server.url_of("postgres"))
                state = folder / f"state_{number}"
                for mode, name, cost, requests in one_round(made, measured, sandbox, url_of, state):
                    cell = cells.setdefault((mode, name), Cell())
                    cell.costs.append(cost)
                    cell.requests.append(requests)
                    print(
                        f"  round {number + 1} {mode:9} {name:6} {_short(cost)} requests {requests}",
                        flush=True,
                    )
    return cells


def _short(cost: Cost) -> str:
    return (
        f"wall {cost.wall_s:6.2f} cpu {cost.cpu_s:6.2f} (client {cost.work_cpu_s:5.2f} postgres {cost.postgres_cpu_s:5.2f}) "
        f"wal {cost.wal_mb:7.2f} MB rows {cost.rows_written:7} rss {cost.rss_mb} MB"
    )


def table(latency_ms: int, cells: dict[tuple[str, str], Cell]) -> str:
    """Markdown: medians per mode and tool, and the ratio to the floor, pair by pair."""
    lines = [
        f"| {ARGS.records:,} records, {latency_ms} ms | tool | wall s | CPU s | CPU x floor | client / PostgreSQL CPU s | WAL MB | rows written | requests | peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (mode, name), cell in cells.items():
        floor = cells.get((mode, "floor"), cell)
        pairs = zip(cell.costs, floor.costs, strict=True)
        ratio = statistics.median(mine.cpu_s / theirs.cpu_s for mine, theirs in pairs)
        lines.append(
            f"| {mode} | {name} | {cell.median('wall_s'):.2f} | {cell.median('cpu_s'):.2f} | {ratio:.2f} "
            f"| {cell.median('work_cpu_s'):.2f} / {cell.median('postgres_cpu_s'):.2f} | {cell.median('wal_mb'):.2f} "
            f"| {cell.median('rows_written'):.0f} | {statistics.median(cell.requests):.0f} | {cell.median('rss_mb'):.0f} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=int, nargs="+", default=[0, 100])
    parser.add_argument("--tools", nargs="+", default=["floor", "hub", "dlt"])
    parser.add_argument(
        "--bench-python", required=True, help="python of tests/bench/requirements.txt"
    )
    parser.add_argument("--save", type=Path, help="write every single figure here as JSON")
    return parser.parse_args()


def main() -> None:
    """Measure every latency asked for and print the tables."""
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    every: dict[str, Any] = {}
    tables = []
    for latency_ms in ARGS.latency_ms:
        print(f"{ARGS.records} records, {latency_ms} ms", flush=True)
        cells = measure(latency_ms)
        tables.append(table(latency_ms, cells))
        every[str(latency_ms)] = {
            f"{mode}/{name}": [asdict(cost) for cost in cell.costs]
            for (mode, name), cell in cells.items()
        }
    print("\n" + "\n\n".join(tables))
    if ARGS.save:
        ARGS.save.write_text(json.dumps(every, indent=1), encoding="utf-8")


ARGS = argparse.Namespace()

if __name__ == "__main__":
    ARGS = _arguments()
    main()
