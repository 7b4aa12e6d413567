"""Saying why a server could not be reached, without its URL's query or anything we sent."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as low


def host_of(url: str) -> str:
    """Host and port of a URL, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def root_of(error: BaseException) -> BaseException:
    """The urllib3 error inside a requests error (and inside MaxRetryError)."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = error.args[0] if error.args else None
        if not isinstance(inner, BaseException) or isinstance(error, low.NewConnectionError):
            return error
        error = inner


def reason_of(error: BaseException) -> str:
    """A clause in our own words; library texts quote URLs."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate or handshake was refused"
    root = root_of(error)
    for kind, words in _WORDS:
        if isinstance(root, kind):
            return words
    return f"the connection failed ({type(root).__name__})"


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (low.NameResolutionError, "its name does not resolve"),
    (low.NewConnectionError, "it refused the connection"),
    (low.ConnectTimeoutError, "it accepted no connection in time"),
    (low.ReadTimeoutError, "it sent nothing for too long"),
    (low.SSLError, "its TLS certificate or handshake was refused"),
    (low.ProtocolError, "the connection broke before the answer was complete"),
    (TimeoutError, "it sent nothing for too long"),
    (ConnectionError, "the connection broke before the answer was complete"),
)
