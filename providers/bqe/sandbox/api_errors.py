"""The business API's error answers, in the shapes that were recorded (bqe.md 2.4)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

MEDIA_TYPE = "application/json; charset=utf-8"


class ApiError(Exception):
    """An answer other than data; the endpoint returns `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def modern(status: int, message: str, *, key: str | None = None) -> ApiError:
    """The shape of 2026: ErrorCode, Key, Message, CorrelationId."""
    body = {
        "ErrorCode": None,
        "Key": key,
        "Message": message,
        "CorrelationId": str(uuid.uuid4()),
    }
    return ApiError(JSONResponse(body, status, media_type=MEDIA_TYPE))


def invalid_field(parameter: str, name: str) -> ApiError:
    """Seen live for `where`; the same wording for the other parameters is inferred."""
    return modern(400, f"Invalid field in '{parameter}' parameter. Field name: {name}")


def invalid_where(reason: str, *, legacy: bool) -> ApiError:
    """409 in the 2019 shape or, a guess, 400 in the present one."""
    message = f"invalid where clause. {reason}"
    if not legacy:
        return modern(400, message)
    body = {"Type": "Exception", "HelpLink": None, "Message": message}
    return ApiError(JSONResponse(body, 409, media_type=MEDIA_TYPE))


def sql_error(message: str) -> ApiError:
    """424: the SQL layer rejects a field or a literal."""
    return modern(424, message, key="APISqlError")


def missing_permission() -> ApiError:
    """409, although nothing conflicts: the consenting user lacks a right."""
    body = {
        "ErrorCode": "000.016",
        "Key": "MsgPermissions",
        "Message": "You do not have the security permissions to access this feature.",
    }
    return ApiError(JSONResponse(body, 409, media_type=MEDIA_TYPE))


def module_security() -> ApiError:
    """409 SEC_Module."""
    body = {"ErrorCode": None, "Key": "SEC_Module", "Message": "Module security: SEC_Module"}
    return ApiError(JSONResponse(body, 409, media_type=MEDIA_TYPE))


def not_subscribed() -> ApiError:
    """The company has not bought the module."""
    return ApiError(PlainTextResponse("Your company is not subscribed to this module.", 403))


def bad_token() -> ApiError:
    """401 with an empty body."""
    headers = {"WWW-Authenticate": 'Bearer,error="invalid_token"'}
    return ApiError(Response(status_code=401, headers=headers))


def small_scope() -> ApiError:
    """403: the consent does not cover the call."""
    headers = {"WWW-Authenticate": 'Bearer,error="insufficient_scope"'}
    return ApiError(Response(status_code=403, headers=headers))


def quota_exceeded(limit: int, wait_s: int, headers: Mapping[str, str]) -> ApiError:
    """429 with Retry-After."""
    text = (
        f"API calls quota exceeded! maximum admitted {limit} per 1m. "
        f"Please try again in {wait_s} seconds."
    )
    return ApiError(PlainTextResponse(text, 429, headers={**headers, "Retry-After": str(wait_s)}))
