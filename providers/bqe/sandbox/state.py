"""The sandbox as one value: data, grants, switches, faults and recorder, and its state file."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from providers.bqe.sandbox import bulk, people, portfolio, signing
from providers.bqe.sandbox.clock import Clock, stamp
from providers.bqe.sandbox.faults import Faults
from providers.bqe.sandbox.grants import COMPANIES, GrantStore
from providers.bqe.sandbox.quota import Quota
from providers.bqe.sandbox.recorder import Recorder
from providers.bqe.sandbox.schema import SCHEMAS
from providers.bqe.sandbox.switches import Switches
from providers.bqe.sandbox.table import BY_ID, BY_STAMP, Record, Table, rowversion

SAVE_DELAY_S = 0.3
REVISION = re.compile(r" \(rev \d+\)$")


@dataclass(frozen=True)
class SandboxConfig:
    """How a sandbox starts. `records` None = the seeded portfolio of odd projects.

    `redirect_uris` empty = any loopback http address whose path ends in /callback.
    """

    state_file: Path | None = None
    records: int | None = None
    latency_ms: int = 0
    quota: bool = True
    control: bool = False
    seed: int = 7
    static_token: str | None = None
    redirect_uris: tuple[str, ...] = ()
    public_url: str | None = None


@dataclass
class Sandbox:
    """Everything the endpoints share."""

    config: SandboxConfig
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.switches = Switches()
        self.quota = Quota(self.clock, self.switches)
        self.recorder = Recorder(self.clock)
        self.grants = GrantStore(self.clock, self.config.static_token)
        self._save_task: asyncio.TimerHandle | None = None
        self._load()
        self.reset_behaviour()

    @cached_property
    def signing_key(self) -> RSAPrivateKey:
        """Of the state file, or made on first use."""
        return signing.new_key()

    def table(self, company: str, entity: str) -> Table:
        """One resource of one company."""
        return self.tables[company, entity]

    def reset_behaviour(self) -> None:
        """Switches, faults, quota and recorder as at the start; the running clock."""
        self.switches.reset()
        self.switches.latency_ms = self.config.latency_ms
        self.switches.quota_per_minute = 100 if self.config.quota else 0
        self.faults = Faults(self.config.seed)
        self.quota.reset()
        self.recorder.reset()
        self.clock.fixed = None

    def reset_data(self) -> None:
        """The seeded rows again."""
        self.tables = _tables(self.config)
        self.data_changed()

    def mutate(self, changes: Mapping[str, Any]) -> list[str]:
        """Apply updates, inserts and deletes to one resource; returns the ids, in that order.

        An update sets `lastUpdated` to now unless it is `silent` or sets it; `version` always
        rises. `set` gives values, `unset` removes keys. Raises KeyError for an unknown id.
        """
        company, entity = changes.get("company", "A"), changes.get("entity", "project")
        table, now = self.table(company, entity), self.clock.now()
        updates, deletes = changes.get("updates", ()), changes.get("delete", ())
        for record_id in (*(update["id"] for update in updates), *deletes):
            if record_id not in table.rows:
                raise KeyError(record_id)
        done = [self._put(table, _updated(table, update, stamp(now))) for update in updates]
        for values in changes.get("insert", ()):
            new_id = people.fixed_id("inserted", company, entity, len(table.rows), table.version)
            row = people.blank(entity, new_id, 0, now)
            if entity == "project":
                row.update(status=0, displayName=f"{values.get('code')} | {values.get('name')}")
            done.append(self._put(table, {**row, **values}))
        for record_id in deletes:
            table.delete(record_id)
            gone = people.deletion(record_id, now, entity.capitalize())
            self.table(company, "deletedhistory").put(gone)
            done.append(record_id)
        self.data_changed()
        return done

    def touch(self, ids: Sequence[str] = (), *, roots: int = 0, company: str = "A") -> list[str]:
        """Rename the given projects, or the first `roots` loadable ones; returns their ids."""
        rows = self.table(company, "project").rows
        chosen = list(ids)
        for row in rows.values() if roots else ():
            if len(chosen) >= len(ids) + roots:
                break
            if portfolio.is_root(row) and not portfolio.must_be_rejected(row):
                chosen.append(row["id"])
        updates: list[dict[str, Any]] = []
        for record_id in chosen:
            row = rows[record_id]
            plain = REVISION.sub("", str(row["name"]))
            name = f"{plain} (rev {self.writes + len(updates) + 1})"
            values = {"name": name, "displayName": f"{row['code']} | {name}"}
            updates.append({"id": record_id, "set": values})
        return self.mutate({"company": company, "updates": updates})

    def truth(self, company: str = "A") -> dict[str, int]:
        """What a right sync of the company's projects ends with, from the rows as they are."""
        return portfolio.truth(self.table(company, "project").rows.values())

    def warm(self) -> None:
        """Make the rows and the usual orders now instead of at the first request."""
        for order in (BY_ID, BY_STAMP, (("createdOn", False),)):
            self.table("A", "project").select(None, order)

    def data_changed(self) -> None:
        """Save soon: many changes in a row are one write."""
        if self.config.state_file is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.save()
            return
        if self._save_task is None:
            self._save_task = loop.call_later(SAVE_DELAY_S, self.save)

    def save(self) -> None:
        """Write the state file, whole or not at all, readable by its owner only."""
        self._save_task = None
        path = self.config.state_file
        if path is None:
            return
        changed = {
            f"{company}/{entity}": {
                "changed": list(table.changed.values()),
                "deleted": sorted(table.deleted),
            }
            for (company, entity), table in self.tables.items()
            if table.changed or table.deleted
        }
        document = {
            "basis": self._basis(),
            "writes": self.writes,
            "signing_key": signing.dump(self.signing_key),
            "tokens": self.grants.saved(),
            "data": changed,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(document))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)

    def _put(self, table: Table, row: Record) -> str:
        self.writes += 1
        row["version"] = rowversion(0x100000 + self.writes)
        table.put(row)
        return str(row["id"])

    def _basis(self) -> dict[str, Any]:
        return {"seed": self.config.seed, "records": self.config.records}

    def _load(self) -> None:
        self.tables, self.writes = _tables(self.config), 0
        path = self.config.state_file
        if path is None or not path.exists():
            return
        document = msgspec.json.decode(path.read_bytes())
        self.signing_key = signing.load(document["signing_key"])
        self.grants.restore(document["tokens"])
        if document["basis"] != self._basis():  # another portfolio: its changes mean nothing here
            return
        self.writes = document["writes"]
        for name, saved in document["data"].items():
            company, _, entity = name.partition("/")
            rows = {row["id"]: row for row in saved["changed"]}
            self.tables[company, entity].restore(rows, saved["deleted"])


def _updated(table: Table, update: Mapping[str, Any], moment: str) -> Record:
    row = dict(table.rows[update["id"]])
    if not update.get("silent"):
        row["lastUpdated"] = moment
    row.update(update.get("set", {}))
    for name in update.get("unset", ()):
        row.pop(name, None)
    return row


def _tables(config: SandboxConfig) -> dict[tuple[str, str], Table]:
    made: dict[tuple[str, str], Table] = {}
    for key, company in COMPANIES.items():
        count = config.records if key == "A" else None
        made.update(_company_tables(key, company.name, config.seed, count))
    return made


def _company_tables(
    key: str, name: str, seed: int, records: int | None
) -> dict[tuple[str, str], Table]:
    big = key == "A"
    if records is None:
        project = Table(SCHEMAS["project"], lambda: portfolio.projects(key, seed))
    else:
        project = Table(SCHEMAS["project"], lambda: bulk.projects(key, seed, records))
    sources = {
        "client": lambda: people.clients(key, 40 if big else 5),
        "employee": lambda: people.employees(key, 25 if big else 5),
        "activity": lambda: people.activities(key),
        "timeentry": lambda: people.time_entries(
            key, list(project.rows.values()), 5000 if big else 50
        ),
        "company": lambda: people.companies(key, name),
        "deletedhistory": lambda: people.deletions(key, 3 if big else 0),
    }
    made = {(key, entity): Table(SCHEMAS[entity], rows) for entity, rows in sources.items()}
    made[key, "project"] = project
    return made
