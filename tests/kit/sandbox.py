"""The BQE sandbox as a process of its own, and the browser's part of a consent."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from integrations_hub import wiring
from integrations_hub.domain.connection import TokenGrant
from integrations_hub.transport.oauth import pkce_pair
from tests.kit.first_line import first_line

CALLBACK = "http://127.0.0.1:8080/hub/api/integrations/bqe/connect/callback"
START_S, STOP_S = 30, 10


class SandboxProcess:
    """Starts on creation, on a free port, with control; `stop()` or leaving `with` ends it.

    `arguments` are those of `providers.bqe.sandbox.server.main`.
    """

    def __init__(self, *arguments: str, state_file: Path | None = None) -> None:
        command = [sys.executable, "-m", "providers.bqe.sandbox.server", "--control", *arguments]
        if state_file is not None:
            command += ["--state-file", str(state_file)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._http = httpx.Client(trust_env=False, timeout=30)
        try:
            ready = json.loads(first_line(self.process, self._errors, "the sandbox", START_S))
        except BaseException:
            self.stop(kill=True)
            raise
        self.url: str = ready["url"]
        self.identity: str = ready["identity"]
        self.api: str = ready["api"]

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call /__control + `path`; returns the decoded answer or raises on 4xx."""
        url = f"{self.url}/__control{path}"
        answer = self._http.request(method, url, json=body if method == "POST" else None)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def truth(self, company: str = "A") -> dict[str, int]:
        """Roots, children, rejected and loadable roots as they are now."""
        return dict(self.control("GET", f"/truth?company={company}"))

    def requests(self) -> list[dict[str, Any]]:
        """Every recorded request, oldest first."""
        return list(self.control("GET", "/requests"))

    def summary(self) -> dict[str, Any]:
        """Counts of the recorded requests."""
        return dict(self.control("GET", "/requests/summary"))

    def script(self, fault: dict[str, Any], **on: Any) -> None:
        """Add a fault for the requests described by `on`."""
        self.control("POST", "/script", {"on": on, "fault": fault})

    def switch(self, **values: Any) -> None:
        """Set switches."""
        self.control("POST", "/switch", values)

    def consent(self, authorize_url: str, company: str = "A", decision: str = "allow") -> str:
        """Do as a browser does: open the page, submit its form, return where it redirects to."""
        return consent(authorize_url, company=company, decision=decision)

    def settings(self) -> dict[str, str]:
        """The Hub's settings that make this the provider."""
        return {
            "BQE_AUTH_BASE_URL": self.identity,
            "BQE_ALLOWED_HOSTS": "127.0.0.1",
            "BQE_CLIENT_ID": "hub-sandbox-web",
            "BQE_CLIENT_SECRET": "hub-sandbox-secret",
        }

    def grant(self, environ: Mapping[str, str]) -> TokenGrant:
        """A real consent as company A, with the Hub's own client."""
        auth = wiring.auth_client(wiring.registry().get_provider("bqe"), environ)
        verifier, challenge = pkce_pair()
        back = self.consent(
            auth.authorize_url(redirect_uri=CALLBACK, state="s", code_challenge=challenge)
        )
        code = parse_qs(urlsplit(back).query)["code"][0]
        return auth.exchange(code=code, redirect_uri=CALLBACK, code_verifier=verifier)

    def stop(self, *, kill: bool = False) -> int:
        """End the process; returns its exit status (0 after a graceful stop)."""
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        try:
            status = self.process.wait(STOP_S)
        finally:
            with contextlib.suppress(OSError):
                self.process.kill()
            self._http.close()
            self._errors.close()
            if self.process.stdout:
                self.process.stdout.close()
        return status


def consent(authorize_url: str, *, company: str = "A", decision: str = "allow") -> str:
    """The browser's part of a consent at any sandbox; returns the callback address."""
    with httpx.Client(trust_env=False, follow_redirects=False) as browser:
        page = browser.get(authorize_url)
        if page.is_redirect:
            return page.headers["location"]
        if page.status_code != 200:
            raise RuntimeError(f"the authorize page answered {page.status_code}: {page.text}")
        form = ConsentForm(page.text)
        answer = browser.post(
            urljoin(str(page.url), form.action),
            data={**form.hidden, "company": company, "decision": decision},
        )
        if not answer.is_redirect:
            raise RuntimeError(f"the consent form answered {answer.status_code}: {answer.text}")
        return answer.headers["location"]


class ConsentForm(HTMLParser):
    """The page's form: where it goes and what it carries."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Collect form and hidden inputs."""
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"] or ""] = given.get("value") or ""
