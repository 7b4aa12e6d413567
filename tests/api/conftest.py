"""A bridge on a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.bridge import BridgeKit


@pytest.fixture
def bridge(database_url: str) -> Iterator[BridgeKit]:
    kit = BridgeKit(database_url)
    yield kit
    kit.close()


@pytest.fixture
def connected(bridge: BridgeKit) -> BridgeKit:
    bridge.connect()
    return bridge
