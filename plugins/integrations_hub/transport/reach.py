"""Whether a host can be reached at all: its name, its port, its certificate; nothing is sent to it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from integrations_hub.errors import ProviderUnreachable

_TIMEOUT_S = 5.0
_PORTS = {"https": 443, "http": 80}


class SocketNetwork:
    """Fulfils ports.Network. Trusts the certificates that the Hub's own requests trust (session.py)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        bundle = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        self._trusted = Path(bundle or DEFAULT_CA_BUNDLE_PATH)

    def resolve(self, url: str) -> list[str]:
        """Addresses of the host, sorted. Raises ProviderUnreachable."""
        parts = urlsplit(url)
        try:
            found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        except OSError:
            raise ProviderUnreachable(
                f"The name {parts.hostname} does not resolve.",
                hint="Check the name and the DNS of the machine that runs the api-server.",
            ) from None
        return sorted({str(entry[4][0]) for entry in found})

    def connect(self, url: str) -> datetime | None:
        """Connect and, for https, shake hands; returns the certificate's end, None for plain http.

        Raises ProviderUnreachable, which names what the certificate fails of.
        """
        parts = urlsplit(url)
        name = f"{parts.hostname}:{_port(parts)}"
        try:
            with socket.create_connection((parts.hostname, _port(parts)), _TIMEOUT_S) as plain:
                if parts.scheme != "https":
                    return None
                with self._context().wrap_socket(plain, server_hostname=parts.hostname) as secured:
                    return _ends(secured.getpeercert() or {})
        except ssl.SSLCertVerificationError as error:
            raise ProviderUnreachable(
                f"The certificate of {name} was refused: {error.verify_message}.",
                hint="If your site inspects TLS, name its CA in REQUESTS_CA_BUNDLE. It is never left unchecked.",
            ) from None
        except OSError as error:
            raise ProviderUnreachable(
                f"{name} accepts no connection ({type(error).__name__}).",
                hint="Check the firewall of the machine that runs the api-server, and whether the server is up.",
            ) from None

    def _context(self) -> ssl.SSLContext:
        if self._trusted.is_dir():
            return ssl.create_default_context(capath=str(self._trusted))
        return ssl.create_default_context(cafile=str(self._trusted))


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _ends(certificate: Mapping[str, object]) -> datetime | None:
    text = certificate.get("notAfter")
    if not isinstance(text, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), tz=timezone.utc)
