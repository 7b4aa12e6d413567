"""The identity server's token endpoints: exchange, one-time refresh, revocation."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.bqe.sandbox import signing
from providers.bqe.sandbox.api_errors import ApiError
from providers.bqe.sandbox.grants import COMPANIES, App, Grant
from providers.bqe.sandbox.oauth_requests import (
    base64url,
    form,
    identified_client,
    oauth_error,
    public_url,
    verified,
)
from providers.bqe.sandbox.people import fixed_id
from providers.bqe.sandbox.state import Sandbox

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PERSON = {"sub": fixed_id("person"), "name": "Sam Sample", "email": "sam.sample@aurora.invalid"}
FOREIGN_ENDPOINT = "https://api.elsewhere.invalid/api/"


class Tokens:
    """Token and revocation endpoint under /idp/connect."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths relative to the mount."""
        return [
            Route("/connect/token", self.token, methods=["POST"]),
            Route("/connect/revocation", self.revocation, methods=["POST"]),
        ]

    async def token(self, request: Request) -> Response:
        """Exchange a code or a refresh token."""
        try:
            given = dict(await form(request))
            app, proven = identified_client(request, given)
            kind = given.get("grant_type", "")
            if kind == "client_credentials":
                raise oauth_error("unauthorized_client")
            if kind == "authorization_code":
                answer = self._exchange(request, app, given, proven=proven)
            elif kind == "refresh_token":
                answer = self._refresh(request, app, given, proven=proven)
            else:
                raise oauth_error("unsupported_grant_type")
        except ApiError as error:
            return error.response
        return JSONResponse(answer, headers=NO_STORE)

    async def revocation(self, request: Request) -> Response:
        """200 for known and unknown tokens alike."""
        try:
            given = dict(await form(request))
            app, proven = identified_client(request, given)
            if app.secret and not proven:
                raise oauth_error("invalid_client")
        except ApiError as error:
            return error.response
        self._sandbox.grants.revoke_token(given.get("token", ""))
        self._sandbox.save()
        return Response()

    def _exchange(
        self, request: Request, app: App, given: dict[str, str], *, proven: bool
    ) -> dict[str, Any]:
        verifier = given.get("code_verifier")
        replaces = self._sandbox.switches.pkce_replaces_secret and verifier
        if app.secret and not proven and not replaces:
            raise oauth_error("invalid_client")
        spent = self._sandbox.grants.spend_code(given.get("code", ""))
        if spent is None:
            raise oauth_error("invalid_grant")
        self._sandbox.save()  # a code is spent whatever comes next
        grant = self._sandbox.grants.grants[spent["grant"]]
        if (
            grant.client_id != app.client_id
            or spent["redirect_uri"] != given.get("redirect_uri")
            or spent["expires_at"] <= self._sandbox.clock.epoch()
            or not verified(spent["challenge"], verifier)
            or (not app.secret and not spent["challenge"])
        ):
            raise oauth_error("invalid_grant")
        if not app.secret and "offline_access" in grant.scope.split():
            raise oauth_error("unauthorized_client")
        return self._answer(request, app, spent["grant"], nonce=spent["nonce"])

    def _refresh(
        self, request: Request, app: App, given: dict[str, str], *, proven: bool
    ) -> dict[str, Any]:
        if app.secret and not proven:
            raise oauth_error("invalid_client")
        grants = self._sandbox.grants
        entry = grants.find_refresh(given.get("refresh_token", ""))
        if entry is None or grants.grants[entry["grant"]].client_id != app.client_id:
            raise oauth_error("invalid_grant")
        if not entry["live"] and self._sandbox.switches.refresh_tokens != "grace":
            if self._sandbox.switches.reuse_revokes_family:
                grants.revoke_family(entry["grant"])
                self._sandbox.save()
            raise oauth_error("invalid_grant")
        keeps = self._sandbox.switches.refresh_tokens == "keep"
        return self._answer(request, app, entry["grant"], nonce=None, keeps=keeps)

    def _answer(
        self,
        request: Request,
        app: App,
        grant_id: str,
        *,
        nonce: str | None,
        keeps: bool = False,
    ) -> dict[str, Any]:
        grants, lifetime_s = self._sandbox.grants, self._sandbox.switches.expires_in
        grant = grants.grants[grant_id]
        access = grants.new_access(grant_id, lifetime_s)
        answer: dict[str, Any] = {
            "access_token": access,
            "expires_in": lifetime_s,
            "token_type": "Bearer",
            "scope": grant.scope,
        }
        if "openid" in grant.scope.split():
            answer["id_token"] = self._id_token(request, grant, access, nonce)
        if app.offline and "offline_access" in grant.scope.split() and not keeps:
            answer["refresh_token"] = grants.new_refresh(grant_id)
        endpoint = self._endpoint(request)
        if endpoint is not None:
            answer["endpoint"] = endpoint
        self._sandbox.save()
        return answer

    def _endpoint(self, request: Request) -> str | None:
        url, shape = (
            f"{public_url(self._sandbox, request)}/api",
            self._sandbox.switches.endpoint_form,
        )
        forms = {"slash": f"{url}/", "bare": url, "missing": None, "foreign": FOREIGN_ENDPOINT}
        return forms.get(shape, shape)

    def _id_token(self, request: Request, grant: Grant, access: str, nonce: str | None) -> str:
        now = int(self._sandbox.clock.epoch())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": f"{public_url(self._sandbox, request)}/idp",
            "aud": grant.client_id,
            "nbf": now,
            "iat": now,
            "exp": now + 300,
            "auth_time": int(grant.consented_at),
            "sub": PERSON["sub"],
            "sid": secrets.token_hex(16),
            "idp": "local",
            "amr": ["pwd"],
            "at_hash": base64url(half),
            "companyId": COMPANIES[grant.company].company_id,
            **({"nonce": nonce} if nonce else {}),
        }
        return signing.sign(self._sandbox.signing_key, claims)
