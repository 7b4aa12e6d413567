"""The address that browsers know us by: from the operator, or from a request to a host on a list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Request

from integrations_hub.errors import SettingInvalid
from integrations_hub.transport.hosts import check_base_url

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.I)


def public_url(request: Request, environ: Mapping[str, str]) -> str:
    """HUB_PUBLIC_URL, else scheme and host of the request when HUB_ALLOWED_HOSTS lists the host.

    The list is loopback by default. A forged Host must not choose where codes are sent;
    X-Forwarded-Host is never read, and the scheme is what the server says, which hears proxies only
    when it was told to trust them. Raises SettingInvalid without a safe address.
    """
    configured = environ.get("HUB_PUBLIC_URL", "").strip()
    if configured:
        return check_base_url(configured, setting="HUB_PUBLIC_URL")
    host = request.headers.get("host", "")
    match = _HOST.fullmatch(host)
    name = match[1].lower() if match else ""
    listed = environ.get("HUB_ALLOWED_HOSTS", "").lower().replace(",", " ").split()
    secure = request.scope["scheme"] == "https" or name in _LOOPBACK
    if name not in (listed or _LOOPBACK) or not secure:
        raise SettingInvalid(
            "The Hub does not know its public address: this request came neither by loopback nor "
            "by https to a host that HUB_ALLOWED_HOSTS lists.",
            hint="Set HUB_PUBLIC_URL to the address of Airflow, e.g. https://airflow.example.com.",
            code="PUBLIC_URL_MISSING",
        )
    return f"{request.scope['scheme']}://{host}"
