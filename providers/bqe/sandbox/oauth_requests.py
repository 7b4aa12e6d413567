"""OAuth requests taken apart: forms, client authentication, PKCE, redirects."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from providers.bqe.sandbox.api_errors import ApiError
from providers.bqe.sandbox.grants import APPS, KNOWN_SCOPES, App
from providers.bqe.sandbox.state import Sandbox

FORM = "application/x-www-form-urlencoded"


def public_url(sandbox: Sandbox, request: Request) -> str:
    """The address under which callers reach the sandbox, no slash at the end."""
    return sandbox.config.public_url or f"{request.url.scheme}://{request.url.netloc}"


async def form(request: Request) -> list[tuple[str, str]]:
    """The fields of a form body; any other content type is a 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise ApiError(Response(status_code=415))
    return parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)


def oauth_error(error: str) -> ApiError:
    """400 with `error` and nothing else."""
    return ApiError(JSONResponse({"error": error}, 400, headers={"Cache-Control": "no-store"}))


def identified_client(request: Request, given: Mapping[str, str]) -> tuple[App, bool]:
    """The app, and whether its secret was shown, in the body or by HTTP Basic.

    Raises ApiError invalid_client for an unknown app or a wrong secret.
    """
    client_id, secret = given.get("client_id", ""), given.get("client_secret")
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise oauth_error("invalid_client") from error
        client_id, secret = (unquote(part) for part in text.partition(":")[::2])
    app = APPS.get(client_id)
    if app is None:
        raise oauth_error("invalid_client")
    if not secret:
        return app, False
    if app.secret is None or not secrets.compare_digest(secret.encode(), app.secret.encode()):
        raise oauth_error("invalid_client")
    return app, True


def authorize_error(given: Mapping[str, str]) -> str | None:
    """The OAuth error of an authorization request; None when it is right."""
    if given.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = given.get("scope", "").split()
    if not scopes or not set(scopes) <= set(KNOWN_SCOPES):
        return "invalid_scope"
    challenge = given.get("code_challenge")
    if challenge and given.get("code_challenge_method") != "S256":
        return "invalid_request"
    if not challenge and APPS[given["client_id"]].secret is None:
        return "invalid_request"  # a public app without PKCE
    return None


def redirect_back(given: Mapping[str, str], **answer: str) -> Response:
    """302 to the redirect address with the answer and the caller's state."""
    state = {"state": given["state"]} if "state" in given else {}
    return RedirectResponse(f"{given['redirect_uri']}?{urlencode({**answer, **state})}", 302)


def verified(challenge: str | None, verifier: str | None) -> bool:
    """S256: the verifier belongs to the challenge, or neither was given."""
    if not challenge or not verifier:
        return not challenge and not verifier
    digest = base64url(hashlib.sha256(verifier.encode()).digest())
    return secrets.compare_digest(digest, challenge)


def base64url(raw: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
