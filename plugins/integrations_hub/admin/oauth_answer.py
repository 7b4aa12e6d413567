"""What the browser brings back from the provider, and the sentence for each way in which it says no."""

from __future__ import annotations

from dataclasses import dataclass

from integrations_hub.errors import FlowRejected

_AGAIN = "Start the connection again from the Hub."


@dataclass(frozen=True)
class Answer:
    """What a callback brings. `signed_in`: the user's name when the browser is signed in to Airflow."""

    provider_key: str
    state: str
    code: str
    error: str
    issuer: str
    cookie: str
    signed_in: str | None
    request_id: str | None


# RFC 6749 4.1.2.1 and OpenID Connect Core 3.1.2.6, in our words: what the provider writes stays out of the page
_DENIALS = {
    "access_denied": (
        "CONSENT_DENIED",
        "The provider says that the consent was not given.",
        "Start again from the Hub and allow the access at the provider's page.",
    ),
    "invalid_scope": (
        "CONSENT_SCOPE",
        "The provider does not grant what the Hub asked for (invalid_scope).",
        "Compare the scopes of the app at the provider with the provider's page in the Hub.",
    ),
    "unauthorized_client": (
        "CONSENT_CLIENT",
        "The provider does not let this app sign people in (unauthorized_client).",
        "Check at the provider that the app may use the authorization code flow.",
    ),
    "server_error": (
        "CONSENT_PROVIDER_ERROR",
        "The provider had an error of its own (server_error).",
        _AGAIN,
    ),
    "temporarily_unavailable": (
        "CONSENT_PROVIDER_BUSY",
        "The provider is not available for the moment.",
        "Wait a few minutes, then start again from the Hub.",
    ),
    "login_required": (
        "CONSENT_NO_LOGIN",
        "Nobody signed in at the provider (login_required).",
        _AGAIN,
    ),
    "consent_required": (
        "CONSENT_NOT_ASKED",
        "The provider did not ask for the consent (consent_required).",
        _AGAIN,
    ),
}
_OTHER = (
    "CONSENT_FAILED",
    "The provider ended the sign-in with an error that the Hub does not know.",
    _AGAIN,
)


def refuse_unusable(answer: Answer, issuer: str) -> None:
    """Raise FlowRejected unless the answer carries a code from the server that was asked."""
    if answer.issuer and answer.issuer.rstrip("/") != issuer.rstrip("/"):
        raise FlowRejected(
            "The answer names another identity server than the one that was asked; it was not used.",
            hint="Start again from the Hub; if it happens again, tell your security team.",
            code="OAUTH_ISSUER_MISMATCH",
        )
    if answer.error:
        code, text, hint = _DENIALS.get(answer.error, _OTHER)
        raise FlowRejected(text, hint=hint, code=code)
    if not answer.code:
        raise FlowRejected(
            "The provider sent the browser back without a code.", hint=_AGAIN, code="CODE_MISSING"
        )


def refused(code: str) -> FlowRejected:
    """Why a callback does not fit what was started here."""
    text, hint = _MISFITS[code]
    return FlowRejected(text, hint=hint, code=code)


# Whatever was not written by this Hub gets the first text; the others tell the person who started
_MISFITS = {
    "OAUTH_FLOW_REJECTED": (
        "This sign-in does not belong to a connection that you just started.",
        "Start the connection again from the Hub, in one browser, within ten minutes.",
    ),
    "OAUTH_FLOW_EXPIRED": ("This sign-in took longer than ten minutes.", _AGAIN),
    "OAUTH_FLOW_SPENT": (
        "This sign-in was finished before; an answer counts once.",
        "Look at the connection in the Hub; start again if it is not connected.",
    ),
    "OAUTH_OTHER_BROWSER": (
        "This sign-in was started in another browser.",
        "Finish it in the browser in which you started, with cookies allowed, or start again here.",
    ),
    "OAUTH_OTHER_PERSON": (
        "This sign-in was started by somebody else than is signed in to Airflow here.",
        "Start the connection yourself, or let that person finish.",
    ),
    "OAUTH_MIXED_UP": (
        "This answer came to another provider's address than the sign-in was started for.",
        "Compare the redirect URI of the app at the provider with the one that the Hub shows.",
    ),
}
