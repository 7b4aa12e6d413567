"""OAuth 2.0 without I/O: what to send to an identity server, and what its answers mean."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import urlencode

from integrations_hub.domain.connection import CLIENT_REJECTED, REQUEST_REFUSED, TokenGrant
from integrations_hub.errors import (
    GrantRejected,
    HubError,
    OutcomeUnknown,
    ProviderContractError,
    TransientError,
)
from integrations_hub.ports.outside import HttpResponse
from integrations_hub.transport.retry import parse_retry_after

_DEFAULT_LIFE_S = 55 * 60
_SHORTEST_LIFE_S = 60
_LONGEST_LIFE_S = 366 * 24 * 3600
_MAYBE_DONE = (200, 500, 502, 504)
_REJECTIONS = {
    "invalid_grant": "Open the Hub and reconnect: the sign-in expired, was revoked or was already used.",
    "invalid_client": "Correct the app's client id and client secret first, then reconnect; reconnecting alone does not help.",
    "unauthorized_client": "Check at the provider that the app may use this flow and ask for offline access.",
}


def pkce_pair() -> tuple[str, str]:
    """(code_verifier of 43 characters, its S256 code_challenge)."""
    verifier = secrets.token_urlsafe(32)
    return verifier, challenge_of(verifier)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorize_url(
    endpoint: str,
    *,
    client_id: str,
    redirect_uri: str,
    scope: str,
    state: str,
    code_challenge: str | None,
) -> str:
    """Where to send the browser; the challenge is S256, None leaves PKCE out."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
    }
    if code_challenge is not None:
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    return f"{endpoint}?{urlencode(query)}"


def code_form(
    *, code: str, redirect_uri: str, code_verifier: str | None, client_id: str, client_secret: str
) -> dict[str, str]:
    """The form that exchanges a code; client credentials go in the body."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    return form if code_verifier is None else form | {"code_verifier": code_verifier}


def refresh_form(refresh_token: str, *, client_id: str, client_secret: str) -> dict[str, str]:
    """The form that spends a refresh token; client credentials go in the body."""
    return {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "client_secret": client_secret,
    }


def client_credentials_form(*, client_id: str, client_secret: str, scope: str) -> dict[str, str]:
    """The form that asks for a token of the app itself; client credentials go in the body."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    return form | {"scope": scope} if scope else form


def missing_scopes(asked: str, granted: str) -> tuple[str, ...]:
    """What was asked for and not granted; an answer that names no scope granted all (RFC 6749 5.1).

    `offline_access` is granted by a refresh token, whatever the answer lists.
    """
    given = {*granted.split(), "offline_access"}
    return tuple(one for one in asked.split() if one not in given) if granted else ()


def revocation_form(token: str, *, client_id: str, client_secret: str) -> dict[str, str]:
    """The form that ends a grant (RFC 7009); client credentials go in the body."""
    return {"token": token, "client_id": client_id, "client_secret": client_secret}


def accept_revocation(response: HttpResponse) -> None:
    """200 whatever the token was. Raises as `parse_token_answer`."""
    if response.status != 200:
        raise _refusal(response, _document(response))


def parse_token_answer(
    response: HttpResponse, *, endpoint_member: str | None, company_claim: str | None
) -> TokenGrant:
    """A token answer, read leniently where servers differ.

    A missing, zero, negative or unreadable `expires_in` counts as 55 minutes, less than a minute as
    one. Raises GrantRejected (only for the three error codes that mean it), TransientError (429,
    5xx, HTML: the tokens are kept) or ProviderContractError.
    """
    answer = _document(response)
    if response.status != 200 or answer is None:
        raise _refusal(response, answer)
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise ProviderContractError("The identity server's answer holds no access_token.")
    if str(answer.get("token_type") or "Bearer").lower() != "bearer":
        raise ProviderContractError("The identity server's token is not a bearer token.")
    return TokenGrant(
        access_token=token,
        refresh_token=_text(answer, "refresh_token"),
        expires_in_s=_life(answer.get("expires_in")),
        api_base_url=_text(answer, endpoint_member),
        company_id=_claim(answer.get("id_token"), company_claim),
        scope=_text(answer, "scope") or "",
    )


def _refusal(response: HttpResponse, answer: dict[str, Any] | None) -> HubError:
    error = _text(answer, "error") if answer is not None else None
    if response.status in (400, 401) and error in _REJECTIONS:
        return GrantRejected(
            f"The identity server rejected the request: {error}.",
            hint=_REJECTIONS[error],
            code="" if error == "invalid_grant" else CLIENT_REJECTED,
        )
    if response.status in _MAYBE_DONE:
        # a gateway may speak for a server behind it that went on and spent the token
        return OutcomeUnknown(
            f"The identity server answered {response.status} without a token.", retry_after_s=30
        )
    if response.status == 429 or response.status >= 500 or answer is None:
        told = parse_retry_after(response.headers.get("retry-after"), response.headers.get("date"))
        return TransientError(
            f"The identity server answered {response.status} without a token.",
            retry_after_s=30 if told is None else told,
        )
    named = error if error and error.isidentifier() else "no known error code"
    return ProviderContractError(
        f"The identity server answered {response.status} ({named}).",
        hint="Check the app's registration at the provider: redirect URI, scopes and flow.",
        code=REQUEST_REFUSED,
    )


def _document(response: HttpResponse) -> dict[str, Any] | None:
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _text(answer: dict[str, Any], name: str | None) -> str | None:
    value = answer.get(name) if name else None
    return value if isinstance(value, str) and value else None


def _life(value: object) -> int:
    """Seconds; bool is no number here, "3600" is."""
    try:
        seconds = 0 if isinstance(value, bool) else int(float(str(value)))
    except (ValueError, OverflowError):
        seconds = 0
    if seconds <= 0:
        return _DEFAULT_LIFE_S
    return min(max(seconds, _SHORTEST_LIFE_S), _LONGEST_LIFE_S)


def _claim(id_token: object, name: str | None) -> str | None:
    """One claim of the id token, without a signature check.

    OpenID Connect Core 3.1.3.7 allows that for a token that came over TLS from the token endpoint
    itself; never use this for a token that passed through a browser.
    """
    if name is None or not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    payload = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    value = claims.get(name) if isinstance(claims, dict) else None
    return (
        str(value)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value
        else None
    )
