"""Taking secrets out of anything that may be logged, shown or stored as text.

Keys are masked wherever they stand: dicts, query strings, form bodies, JSON text, headers in text,
exceptions. `code` and `state` are ordinary words, so in plain text they are masked only in a URL,
a form body or JSON ("error code=404" stays).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_NAMES = (
    "authorization", "proxy-authorization", "client_secret", "refresh_token", "access_token",
    "id_token", "code_verifier", "password", "set-cookie", "cookie", "x-api-key", "api_key",
    "integrations_secret_key",
)  # fmt: skip
_NARROW = ("code", "state")
_SENSITIVE = frozenset(_NAMES) | frozenset(_NARROW)

_any = "|".join(re.escape(name) for name in sorted(_SENSITIVE, key=len, reverse=True))
_plain = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
_QUOTED = re.compile(
    rf"""(?P<head>\\?["'](?:[\w-]*[_-])?(?:{_any})\\?["']\s*[:=,]\s*b?)"""
    r"""(?P<quote>\\?["'])(?P<value>(?:(?!(?P=quote)).)*)(?P=quote)""",
    re.IGNORECASE | re.DOTALL,
)
_BARE_JSON = re.compile(rf"""(["'](?:{_plain})["']\s*:\s*)(?!\\?["'])[^\s,}}\]]+""", re.IGNORECASE)
_QUERY = re.compile(
    rf"((?:[?&#]|%3[fF]|%26)(?:{_any})(?:=|%3[dD]))(?:(?!%26)[^&\s\"'<>#])*", re.IGNORECASE
)
_FORM_START = re.compile(rf"((?<![\w-])(?:{_any})=)[^&\s]*(?=&[\w.-]+=)", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"\b((?:[\w-]*_)?(?:{_plain})\s*[=:]\s*)(?![\"'*])(?:(?:Bearer|Basic|Fernet)\s+)?[^\s,;&\"')}}\]]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic)(\s+|%20)(?!\*\*\*)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@\"'?#]+@", re.IGNORECASE)


def redact_sensitive(data: Any) -> Any:
    """A copy of `data` without secrets: dicts, lists and tuples recursively, text by pattern.

    An exception becomes its redacted text; numbers, dates and None come back as they are.
    """
    if isinstance(data, str):
        return redact_text(data)
    if isinstance(data, Mapping):
        return {key: _value(key, value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return _sequence(data)
    return _leaf(data)


def redact_text(text: str) -> str:
    """`text` with the values of sensitive names masked; the names stay readable."""
    text = _QUOTED.sub(r"\g<head>\g<quote>" + MASK + r"\g<quote>", text)
    text = _BARE_JSON.sub(rf"\g<1>{MASK}", text)
    text = _QUERY.sub(rf"\g<1>{MASK}", text)
    text = _FORM_START.sub(rf"\g<1>{MASK}", text)
    text = _ASSIGNED.sub(rf"\g<1>{MASK}", text)
    text = _SCHEME.sub(rf"\g<1>\g<2>{MASK}", text)
    return _USERINFO.sub(rf"\g<1>{MASK}@", text)


def _leaf(data: Any) -> Any:
    if isinstance(data, (set, frozenset)):
        return {redact_sensitive(item) for item in data}
    if isinstance(data, (bytes, bytearray)):
        return redact_text(bytes(data).decode("utf-8", "replace")).encode()
    if isinstance(data, BaseException):
        return redact_text(f"{type(data).__name__}: {data}")
    return data


def _value(key: Any, value: Any) -> Any:
    name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    if isinstance(name, str) and name.lower() in _SENSITIVE and value is not None:
        return MASK
    return redact_sensitive(value)


def _sequence(data: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
    """A header or form pair ("Authorization", "...") is masked like a dict entry."""
    if len(data) == 2 and isinstance(data[0], (str, bytes)):
        items = [data[0], _value(data[0], data[1])]
    else:
        items = [redact_sensitive(item) for item in data]
    return items if isinstance(data, list) else tuple(items)
