"""What several integration tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations_hub.store.database import Database
from tests.kit.sandbox import SandboxProcess
from tests.kit.stored_tokens import insert


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox without a quota, one for the file."""
    with SandboxProcess("--no-quota") as process:
        yield process


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything that is logged in this process, at DEBUG; a server of an earlier test kept its log to itself."""
    for name in ("uvicorn", "uvicorn.access"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    path = tmp_path / "hub.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield path
    root.setLevel(before)
    root.removeHandler(handler)
    handler.close()


@pytest.fixture
def connection_id(database: Database) -> int:
    """A connection of the provider acme that has no tokens yet."""
    return insert(database, "main")
