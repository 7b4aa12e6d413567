"""Steady, a second provider that lives in a folder of the tests, and its API as a real HTTP server."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import providers
from integrations_hub import wiring

_FOLDER = str(Path(__file__).with_name("outside"))


@contextmanager
def steady_installed() -> Iterator[None]:
    """While it lasts, the folder of the tests is one of the provider folders."""
    providers.__path__.append(_FOLDER)
    wiring.registry.cache_clear()
    try:
        yield
    finally:
        providers.__path__.remove(_FOLDER)
        wiring.registry.cache_clear()
        for name in [name for name in sys.modules if name.startswith("providers.steady")]:
            del sys.modules[name]


class SteadyApi:
    """Widgets by pages. `status` other than 200 is what every request gets; `bearers` in order of use."""

    def __init__(self, *widgets: dict[str, object]) -> None:
        self.widgets = list(widgets)
        self.status = 200
        self.bearers: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, address: str) -> object:
        parts = urlsplit(address)
        if parts.path.endswith("/count"):
            return {"count": len(self.widgets)}
        number, size = map(int, parse_qs(parts.query)["page"][0].split(","))
        return self.widgets[(number - 1) * size : number * size]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                outer.bearers.append(token if scheme == "Bearer" else "")
                body = json.dumps(outer._answer(self.path) if outer.status == 200 else {}).encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        return Handler
