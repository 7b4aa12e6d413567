"""What no database can keep is refused at the door."""

from __future__ import annotations

import json
from typing import TypeVar

_T = TypeVar("_T")


def storable(value: _T) -> _T:
    """For a `field_validator` of JSON: PostgreSQL's text holds no lone surrogate and no NUL."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half a character (a lone surrogate)") from error
    if "\\u0000" in text:
        raise ValueError("a text holds the character NUL")
    return value
