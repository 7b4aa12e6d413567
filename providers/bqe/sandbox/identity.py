"""The identity server's pages: discovery, keys, consent and userinfo."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.bqe.sandbox import consent, signing
from providers.bqe.sandbox.api_errors import ApiError
from providers.bqe.sandbox.grants import APPS, COMPANIES, KNOWN_SCOPES, App, Grant
from providers.bqe.sandbox.oauth_requests import authorize_error, form, public_url, redirect_back
from providers.bqe.sandbox.state import Sandbox
from providers.bqe.sandbox.tokens import PERSON

AUTHORIZE_PARAMETERS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)


class Identity:
    """Endpoints under /idp."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths relative to the mount."""
        return [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/.well-known/openid-configuration/jwks", self.jwks),
            Route("/connect/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/connect/userinfo", self.userinfo),
        ]

    async def discovery(self, request: Request) -> Response:
        """The provider's metadata."""
        base = f"{public_url(self._sandbox, request)}/idp"
        return JSONResponse(
            {
                "issuer": base,
                "jwks_uri": f"{base}/.well-known/openid-configuration/jwks",
                "authorization_endpoint": f"{base}/connect/authorize",
                "token_endpoint": f"{base}/connect/token",
                "userinfo_endpoint": f"{base}/connect/userinfo",
                "revocation_endpoint": f"{base}/connect/revocation",
                "scopes_supported": list(KNOWN_SCOPES),
                "claims_supported": ["sub", "name", "email", "companyId"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "client_secret_basic",
                ],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def jwks(self, _request: Request) -> Response:
        """The one signing key."""
        return JSONResponse({"keys": [signing.public_jwk(self._sandbox.signing_key)]})

    async def authorize(self, request: Request) -> Response:
        """GET shows the consent page (or consents at once by a switch), POST is the answer."""
        posted = request.method == "POST"
        try:
            given = dict(await form(request)) if posted else dict(request.query_params)
        except ApiError as error:
            return error.response
        refused = self._refused(given)
        if refused is not None:
            return refused
        app = APPS[given["client_id"]]
        if posted:
            return self._decided(app, given, given.get("company", ""))
        if self._sandbox.switches.auto_consent:
            consenting = {**given, "decision": "allow"}
            return self._decided(app, consenting, self._sandbox.switches.auto_consent)
        kept = {name: given[name] for name in AUTHORIZE_PARAMETERS if name in given}
        return consent.page(app, given["scope"].split(), kept)

    async def userinfo(self, request: Request) -> Response:
        """403 without the scope `openid`, 401 with a dead token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = self._sandbox.grants.bearer(token) if scheme.lower() == "bearer" else None
        wrong = "invalid_token" if bearer is None else "insufficient_scope"
        if bearer is None or "openid" not in bearer.scopes:
            headers = {"WWW-Authenticate": f'Bearer,error="{wrong}"'}
            return Response(status_code=401 if bearer is None else 403, headers=headers)
        company = COMPANIES[bearer.company]
        return JSONResponse(
            {**PERSON, "given_name": "Sam", "family_name": "Sample", "company": company.name}
        )

    def _registered(self, redirect_uri: str) -> bool:
        known = self._sandbox.config.redirect_uris
        if known:
            return redirect_uri in known
        parts = urlsplit(redirect_uri)
        local = parts.hostname in ("127.0.0.1", "localhost") and parts.scheme == "http"
        return local and parts.path.endswith("/callback") and not (parts.query or parts.fragment)

    def _refused(self, given: dict[str, str]) -> Response | None:
        if given.get("client_id", "") not in APPS:
            return consent.refusal("The client_id is not known here.")
        if not self._registered(given.get("redirect_uri", "")):
            return consent.refusal(
                "The redirect_uri is not registered for this app. It must match exactly, "
                "trailing slash included."
            )
        error = authorize_error(given)
        return redirect_back(given, error=error) if error else None

    def _decided(self, app: App, given: dict[str, str], company: str) -> Response:
        if given.get("decision") != "allow":
            return redirect_back(given, error="access_denied")
        if company not in COMPANIES:
            return consent.refusal("Choose one of the companies of the list.")
        return redirect_back(given, code=self._consented(app, given, company))

    def _consented(self, app: App, given: dict[str, str], company: str) -> str:
        now = self._sandbox.clock.epoch()
        code = self._sandbox.grants.new_code(
            Grant(app.client_id, company, given["scope"], now),
            redirect_uri=given["redirect_uri"],
            challenge=given.get("code_challenge"),
            nonce=given.get("nonce"),
            expires_at=now + self._sandbox.switches.code_lifetime_s,
        )
        self._sandbox.save()
        return code
