"""The ETag of what can be saved: its revision."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Response

from integrations_hub.errors import ConflictingChange

IfMatch = Annotated[str | None, Header(description='The ETag that was read, e.g. "3".')]


def set_etag(response: Response, revision: int) -> None:
    """Answer with the revision that was read or made."""
    response.headers["ETag"] = f'"{revision}"'


def revision_of(if_match: str) -> int:
    """The revision that an ETag names. Raises ConflictingChange."""
    found = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', if_match.strip())
    if found is None:
        raise ConflictingChange("If-Match names no revision.", code="REVISION_CONFLICT")
    return int(found.group(1))


def expected_revision(if_match: str | None) -> int | None:
    """The revision that a change was made from; None = any."""
    if if_match is None or if_match.strip() == "*":
        return None
    return revision_of(if_match)
