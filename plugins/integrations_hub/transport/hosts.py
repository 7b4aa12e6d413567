"""Which hosts may ever see a token: https and pinned names, plain http for loopback only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from integrations_hub.catalog.metadata import Provider
from integrations_hub.errors import HostNotAllowed, SettingInvalid

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ODD = re.compile(r"[\s\\\x00-\x1f\x7f]|[^\x21-\x7e]")


class HostGuard:
    """The allowed hosts of one provider: `api.example.com`, `*.example.com` or `127.0.0.1:8080`.

    `override`: an operator's comma list; when not empty it replaces the pinned list.
    An entry without a port allows the default port, for loopback any port.
    """

    def __init__(self, pinned: Sequence[str], override: str = "") -> None:
        chosen = [part.strip() for part in override.split(",") if part.strip()] or list(pinned)
        self._allowed = tuple(entry.lower() for entry in chosen)

    def check(self, url: str) -> str:
        """`url` without a trailing slash. Raises HostNotAllowed, naming the host and never the query."""
        parts = _parse(url)
        host = (parts.hostname or "").lower()
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise HostNotAllowed(f"{host} was given with plain http; only https is used.")
        if not any(_fits(entry, host, parts.port) for entry in self._allowed):
            raise HostNotAllowed(f"The host {_shown(host, parts.port)} is not an allowed one.")
        return url.rstrip("/")


def host_guard(provider: Provider, environ: Mapping[str, str]) -> HostGuard:
    """The provider's guard; <PREFIX>_ALLOWED_HOSTS replaces the pinned list."""
    override = environ.get(f"{provider.oauth.env_prefix}_ALLOWED_HOSTS", "")
    return HostGuard(provider.oauth.allowed_hosts, override)


def check_base_url(url: str, *, setting: str) -> str:
    """An operator's own base URL: any host, but https (or loopback). Trailing slash stripped.

    Raises SettingInvalid naming `setting`.
    """
    try:
        parts = _parse(url)
    except HostNotAllowed:
        parts = None
    if parts is None or (
        parts.scheme == "http" and (parts.hostname or "").lower() not in _LOOPBACK
    ):
        raise SettingInvalid(
            f"{setting} is not an address that can be used.",
            hint="Give https://host/path; plain http is for loopback only.",
        )
    return url.rstrip("/")


def _parse(url: str) -> SplitResult:
    if _ODD.search(url):
        raise HostNotAllowed("An address with odd characters was refused.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HostNotAllowed("An address that cannot be read was refused.") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise HostNotAllowed("An address that is not https://host/... was refused.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise HostNotAllowed(
            f"An address of {parts.hostname} with user, query or fragment was refused."
        )
    return parts


def _fits(entry: str, host: str, port: int | None) -> bool:
    name, _, wanted = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    if wanted:
        if str(port) != wanted:
            return False
    elif port not in (None, 443) and host not in _LOOPBACK:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and host != name[1:].lstrip(".")
    return host == name.strip("[]")


def _shown(host: str, port: int | None) -> str:
    return f"{host}:{port}" if port else host
