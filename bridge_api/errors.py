"""What each error of the Hub is over HTTP: one table over the classes, one shape of answer."""

from __future__ import annotations

import math
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from integrations_hub.errors import (
    AuthorizationNeeded,
    ConfigurationError,
    ConflictingChange,
    ConnectionAmbiguous,
    FlowRejected,
    Forbidden,
    HubError,
    IntegrationsDisabled,
    LeaseHeld,
    MaintenanceMode,
    NotFound,
    NotSignedIn,
    ProviderContractError,
    RecordRejected,
    RuleInvalid,
    RunFailed,
    RunLost,
    RunMustWait,
    RunRefused,
    SecretKeyDropped,
    SecretKeyMissing,
    StagingLost,
    TooOften,
    TransientError,
)

STATUSES: dict[type[HubError], int] = {
    ConfigurationError: 409,
    RuleInvalid: 422,
    ConnectionAmbiguous: 422,
    SecretKeyMissing: 503,
    SecretKeyDropped: 503,
    AuthorizationNeeded: 409,
    FlowRejected: 400,
    TransientError: 503,
    TooOften: 429,
    ProviderContractError: 502,
    RunRefused: 409,
    LeaseHeld: 423,
    IntegrationsDisabled: 503,
    MaintenanceMode: 423,
    NotFound: 404,
    Forbidden: 403,
    NotSignedIn: 401,
    # these end inside a run; if one ever comes this far, it is our fault
    RecordRejected: 500,
    RunMustWait: 500,
    RunLost: 500,
    StagingLost: 500,
    RunFailed: 500,
}
_MAINTENANCE_RETRY_S = "60"
# what the framework answers by itself: path, method, body
_FRAMEWORK = {
    400: ("BODY_UNREADABLE", "The body cannot be read.", "Send one JSON document."),
    404: ("NOT_FOUND", "There is nothing at this address.", "Check the address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not know that method.", "Check the method."),
    413: ("BODY_TOO_LARGE", "The body is larger than 1 MB.", "Send less at once."),
    415: ("CONTENT_TYPE", "The body is not JSON.", "Send Content-Type: application/json."),
}


def status_of(error: type[HubError]) -> int:
    """The row of the nearest class in the table."""
    return next((STATUSES[kind] for kind in error.__mro__ if kind in STATUSES), 500)


def problem(
    request: Request,
    status: int,
    code: str,
    message: str,
    hint: str = HubError.default_hint,
    *,
    problems: list[dict[str, str]] | None = None,
    detail: dict[str, Any] | None = None,
) -> JSONResponse:
    """An application/problem+json answer: code, message, hint, request_id (problems, detail)."""
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "hint": hint,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if problems is not None:
        body["problems"] = problems
    if detail is not None:
        body["detail"] = detail
    return JSONResponse(body, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Every error of every route becomes a problem document."""
    app.add_exception_handler(HubError, _hub_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework_error)


def _hub_error(request: Request, error: Exception) -> Response:
    error = cast("HubError", error)  # registered for this class only
    problems = error.problems if isinstance(error, RuleInvalid) else None
    detail = error.detail if isinstance(error, ConflictingChange) else None
    answer = problem(
        request,
        status_of(type(error)),
        error.code,
        error.message,
        error.hint,
        problems=problems,
        detail=detail,
    )
    if isinstance(error, TransientError):
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 5)))
    if isinstance(error, MaintenanceMode):
        answer.headers["Retry-After"] = _MAINTENANCE_RETRY_S
    if isinstance(error, NotSignedIn):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _invalid(request: Request, error: Exception) -> Response:
    """Where and what, never the value that came: it may be a secret in the wrong place."""
    error = cast("RequestValidationError", error)
    problems = [
        {"pointer": "/" + "/".join(str(part) for part in one["loc"]), "message": str(one["msg"])}
        for one in error.errors()
    ]
    return problem(
        request,
        422,
        "REQUEST_INVALID",
        "The request does not fit: "
        + "; ".join(f"{p['pointer']}: {p['message']}" for p in problems),
        "Correct what the message names, then send it again.",
        problems=problems,
    )


def _framework_error(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    code, message, hint = _FRAMEWORK.get(
        error.status_code, ("HTTP_ERROR", "The request was refused.", HubError.default_hint)
    )
    answer = problem(request, error.status_code, code, message, hint)
    answer.headers.update(error.headers or {})
    return answer
