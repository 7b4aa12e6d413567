"""The BQE sandbox inside the test's own process: no socket, its state at hand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from providers.bqe.sandbox.app import create_app
from providers.bqe.sandbox.state import Sandbox, SandboxConfig
from tests.kit.sandbox import ConsentForm

CALLBACK = "http://127.0.0.1:8080/connect/callback"
WEB = {"client_id": "hub-sandbox-web", "client_secret": "hub-sandbox-secret"}
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)


class SandboxApp:
    """One sandbox with control and the static token `static`, but no quota unless asked."""

    def __init__(self, **config: Any) -> None:
        settings = {"control": True, "quota": False, "static_token": "static", **config}
        self.sandbox = Sandbox(SandboxConfig(**settings))
        self._transport = httpx.ASGITransport(create_app(sandbox=self.sandbox))

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; `options` as httpx takes them."""

        async def go() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://sandbox.test"
            ) as client:
                return await client.request(method, path, **options)

        return asyncio.run(go())

    def api(self, path: str, token: str = "static", **params: Any) -> httpx.Response:
        """An authorised GET of /api + `path`."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.call("GET", f"/api{path}", params=params, headers=headers)

    def projects(self, **params: Any) -> list[dict[str, Any]]:
        """One page of projects."""
        answer = self.api("/project", **params)
        return answer.json() if answer.status_code == 200 else []

    def every_project(self, **params: Any) -> list[dict[str, Any]]:
        """All pages of projects."""
        found: list[dict[str, Any]] = []
        for number in range(1, 100):
            page = self.projects(page=f"{number},1000", **params)
            found += page
            if len(page) < 1000:
                break
        return found

    def control(self, path: str, body: Any = None) -> Any:
        """POST to /__control + `path` (GET without a body)."""
        if body is None:
            return self.call("GET", f"/__control{path}").json()
        answer = self.call("POST", f"/__control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def code(
        self, scope: str = "read:core offline_access openid", company: str = "A", **request: str
    ) -> str:
        """Consent through the page and return the code."""
        query = {
            "client_id": "hub-sandbox-web",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": scope,
            "state": "xyz",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **request,
        }
        page = self.call("GET", f"/idp/connect/authorize?{urlencode(query)}")
        form = ConsentForm(page.text)
        answer = self.call(
            "POST",
            f"/idp/connect/{form.action}",
            data={**form.hidden, "company": company, "decision": "allow"},
        )
        given = parse_qs(urlsplit(answer.headers["location"]).query)
        assert given["state"] == ["xyz"]
        return given["code"][0]

    def token(self, **form: str) -> httpx.Response:
        """POST to the token endpoint as the web app."""
        return self.call("POST", "/idp/connect/token", data={**WEB, **form})

    def exchange(self, code: str, **form: str) -> httpx.Response:
        """Exchange a code as the web app, with PKCE."""
        return self.token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=form.pop("redirect_uri", CALLBACK),
            code_verifier=form.pop("code_verifier", VERIFIER),
            **form,
        )

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Spend a refresh token as the web app."""
        return self.token(grant_type="refresh_token", refresh_token=refresh_token)

    def connect(self, **consent: str) -> dict[str, Any]:
        """A whole dance; returns the token answer."""
        answer = self.exchange(self.code(**consent))
        assert answer.status_code == 200, answer.text
        return answer.json()
