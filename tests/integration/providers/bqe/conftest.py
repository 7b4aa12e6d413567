"""The engine over a sandbox without a quota; the sandbox is reset for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.sandbox import SandboxProcess
from tests.kit.sandbox_engine import SandboxEngine


@pytest.fixture
def hub(sandbox: SandboxProcess, database_url: str) -> Iterator[SandboxEngine]:
    sandbox.control("POST", "/reset", {})
    made = SandboxEngine(database_url, sandbox)
    yield made
    made.close()
