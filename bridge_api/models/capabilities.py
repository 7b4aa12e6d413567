"""What this Hub offers the person who asks."""

from __future__ import annotations

from pydantic import BaseModel


class Integrations(BaseModel):
    """`reason` says why they are not enabled for this person; `providers` is empty then."""

    enabled: bool
    reason: str | None = None
    providers: list[str] = []


class Capabilities(BaseModel):
    """Asked for by every page before it shows anything of the Hub."""

    integrations: Integrations
