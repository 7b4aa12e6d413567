"""What an answer means: the provider's error rules (status, key, message) turned into our errors."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from integrations_hub.catalog.metadata import ErrorRule, Provider
from integrations_hub.errors import (
    AuthorizationNeeded,
    HubError,
    PermissionMissing,
    ProviderContractError,
    RateLimited,
    RequestRejected,
    TransientError,
    UnexpectedRedirect,
)
from integrations_hub.ports.outside import HttpResponse
from integrations_hub.transport.log_guard import GUARD
from integrations_hub.transport.retry import parse_retry_after

_KEYS = ("Key", "key", "error", "code", "ErrorCode")
_MESSAGES = ("Message", "message", "error_description", "detail", "title")
_IDS = ("CorrelationId", "correlationId", "traceId")
_SHOWN_CHARS = 300
_WAIT_S = 30.0
_LEAVES: dict[str, type[HubError]] = {
    "configuration": RequestRejected,
    "authorization": AuthorizationNeeded,
    "permission": PermissionMissing,
    "subscription": PermissionMissing,
    "quota": RateLimited,
    "transient": TransientError,
    "contract": ProviderContractError,
}
# what an answer means that no rule of the provider names
_BY_STATUS = {
    400: "configuration", 404: "configuration", 410: "configuration", 414: "configuration",
    422: "configuration", 401: "authorization", 403: "permission", 408: "transient",
    425: "transient", 429: "quota",
}  # fmt: skip


class Verdict:
    """Judges the answers of one provider."""

    def __init__(self, provider: Provider) -> None:
        self._name = provider.display_name
        self._rules = tuple(_compiled(rule) for rule in provider.errors)

    def is_stale_token(self, response: HttpResponse) -> bool:
        """401 that a new token may cure (some providers say 401 for a missing subscription too)."""
        return response.status == 401 and self._kind(response)[0] == "authorization"

    def accept(self, response: HttpResponse, path: str) -> HttpResponse:
        """The answer if it is good: 200 with JSON, or 204. Raises the leaf that fits otherwise."""
        if response.status == 204:
            return HttpResponse(204, response.headers, b"")
        if response.status == 200:
            return self._json_only(response, path)
        raise self._error(response, path)

    def _json_only(self, response: HttpResponse, path: str) -> HttpResponse:
        kind = response.headers.get("content-type", "")
        if "json" not in kind.lower():
            shown = kind.split(";")[0].strip()[:60] or "nothing"
            raise ProviderContractError(
                f"{self._name} answered {path} with {shown} instead of JSON.",
                hint="Often a login or maintenance page: try again later, then report it.",
                code="UNEXPECTED_CONTENT",
            )
        return response

    def _error(self, response: HttpResponse, path: str) -> HubError:
        if 300 <= response.status < 400:
            target = urlsplit(response.headers.get("location", "")).hostname or "the same host"
            return UnexpectedRedirect(
                f"{self._name} redirected {path} to {target} ({response.status}); it was not followed."
            )
        kind, hint = self._kind(response)
        leaf = _LEAVES[kind]
        message = f"{self._name} answered {path} with {response.status}{_said(response)}"
        if issubclass(leaf, TransientError):
            told = parse_retry_after(
                response.headers.get("retry-after"), response.headers.get("date")
            )
            return leaf(message, retry_after_s=_WAIT_S if told is None else told, hint=hint)
        # a new sign-in with more scopes, not a new token, is what helps
        code = "SCOPE_MISSING" if kind == "authorization" and response.status == 403 else ""
        return leaf(message, hint=hint, code=code)

    def _kind(self, response: HttpResponse) -> tuple[str, str]:
        rule = self._rule(response)
        if rule is not None:
            return rule.kind, rule.hint
        if response.status >= 500:
            return "transient", ""
        return _BY_STATUS.get(response.status, "contract"), ""

    def _rule(self, response: HttpResponse) -> ErrorRule | None:
        candidates = [each for each in self._rules if each[0].status == response.status]
        if not candidates:
            return None
        key, message = _member(response, _KEYS), _text(response)
        for rule, key_pattern, message_pattern in candidates:
            if _found(key_pattern, key) and _found(message_pattern, message):
                return rule
        return None


_Compiled = tuple[ErrorRule, "re.Pattern[str] | None", "re.Pattern[str] | None"]


def _compiled(rule: ErrorRule) -> _Compiled:
    def pattern(text: str | None) -> re.Pattern[str] | None:
        return None if text is None else re.compile(text)

    return rule, pattern(rule.key_pattern), pattern(rule.message_pattern)


def _found(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is None or pattern.search(text) is not None


def _document(response: HttpResponse) -> dict[str, Any]:
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list) and document:
        document = document[0]
    return document if isinstance(document, dict) else {}


def _member(response: HttpResponse, names: tuple[str, ...]) -> str:
    document = _document(response)
    for name in names:
        if document.get(name) not in (None, ""):
            return str(document[name])
    return ""


def _text(response: HttpResponse) -> str:
    """What message patterns search: the message of a JSON error or the beginning of another body.

    The challenge follows, where some servers name the reason of a 401 or 403.
    """
    said = _member(response, _MESSAGES)
    if not said and not _document(response):
        said = response.content[:4096].decode("utf-8", "replace")
    return f"{said} {response.headers.get('www-authenticate', '')}".strip()


def _said(response: HttpResponse) -> str:
    """What the provider said, fit for a message: one line, redacted, short; no bodies that are no errors."""
    said = _shown(response, _MESSAGES)[:_SHOWN_CHARS]
    shown = f": {said}" if said else "."
    correlation = _shown(response, _IDS)[:64]
    return f"{shown} (its id: {correlation})" if correlation else shown


def _shown(response: HttpResponse, names: tuple[str, ...]) -> str:
    """Redacted before it is cut: a piece of a token is not recognised any more."""
    return GUARD.redact(" ".join(_member(response, names).split()))
