"""The committed contract: `python -m bridge_api.openapi` writes openapi.json, a test refuses drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge_api.app import create_app

FILE = Path(__file__).with_name("openapi.json")


class _Nobody:
    """The contract does not depend on who may sign in."""

    async def current_user(self, request: Any) -> None:
        """Nobody."""

    async def may_administer(self, user: Any) -> bool:  # noqa: ARG002 - the protocol's signature
        """No."""
        return False


def document() -> str:
    """The OpenAPI document of the routes as they are, as JSON text."""
    app = create_app(_Nobody(), "http://airflow", {"INTEGRATIONS_ENABLED": "false"})
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
