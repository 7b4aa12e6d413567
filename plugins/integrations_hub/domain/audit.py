"""The audit log as values: an entry, and what a check of the whole chain found."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


def connection_target(provider_key: str, key: str) -> str:
    """How entries about a connection name it."""
    return f"connection:{provider_key}:{key}"


@dataclass(frozen=True)
class AuditEntry:
    """One link of the chain. `hash` covers every other field and `prev`, the hash of the entry before."""

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, Any]
    request_id: str | None
    prev: str
    hash: str


@dataclass(frozen=True)
class AuditHead:
    """The last entry as the chain remembers it; seq 0 before the first one."""

    seq: int
    hash: str

    @staticmethod
    def read(text: str) -> AuditHead:
        """From `<seq>:<hash>`, as `str` gives it. Raises ValueError."""
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise ValueError(text)
        return AuditHead(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True)
class AuditProblem:
    """`kind`: edited, missing, replaced, tail_dropped or rewritten; `seq` is where it shows."""

    kind: str
    seq: int
    text: str


@dataclass(frozen=True)
class AuditVerdict:
    """`entries`: how many were read; at most 100 `problems`, by place. Sound when there is none."""

    entries: int
    head: AuditHead
    problems: list[AuditProblem]

    @property
    def sound(self) -> bool:
        """Whether every entry is there and as it was written."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"sound": self.sound, **asdict(self)}
