"""The address that browsers know us by: from the operator, or this machine's loopback, never from a header alone."""

from __future__ import annotations

from fastapi import Request

from integrations_hub.errors import SettingInvalid

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def public_url(request: Request, configured: str | None) -> str:
    """HUB_PUBLIC_URL, else scheme and host of the request when that host is loopback.

    Raises SettingInvalid otherwise: a forged Host header must not choose where codes are sent.
    """
    if configured is not None:
        return configured
    if request.url.hostname not in _LOOPBACK:
        raise SettingInvalid(
            "The Hub does not know its public address, and this request did not come by loopback.",
            hint="Set HUB_PUBLIC_URL to the address of Airflow, e.g. https://airflow.example.com.",
            code="PUBLIC_URL_MISSING",
        )
    return f"{request.url.scheme}://{request.url.netloc}"
