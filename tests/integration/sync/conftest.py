"""An engine factory whose sessions are closed with the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.engine import Engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Any]:
    """engine(list, **rule options) -> Engine."""
    made: list[Engine] = []

    def make(client: Any, **options: Any) -> Engine:
        made.append(Engine(database_url, client, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
