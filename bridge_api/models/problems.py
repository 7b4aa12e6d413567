"""The one shape of an error."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, JsonValue


class ProblemItem(BaseModel):
    """One thing that does not fit, and where (a JSON pointer)."""

    pointer: str
    message: str


class Problem(BaseModel):
    """What happened, what to do, and the id to find it in the logs.

    `detail`: what a person needs to decide on a conflict: `diff` (REVISION_CONFLICT), `reasons` and
    `forecast` (REREAD_DECISION).
    """

    code: str
    message: str
    hint: str
    request_id: str
    problems: list[ProblemItem] | None = None
    detail: dict[str, JsonValue] | None = None


_MEANINGS = {
    400: "The sign-in flow or the body cannot be accepted",
    401: "Not signed in to Airflow",
    403: "Not an admin, or a page of another site",
    404: "Unknown provider, object, connection, rule or run",
    409: "A setting, a state or somebody else's change stands against it",
    413: "More than 1 MB",
    415: "The body is not JSON",
    422: "The request does not fit; `problems` says where",
    423: "Another run holds the lease",
    429: "More often than the Hub answers; Retry-After says when",
    502: "The provider or Airflow answered what it never should",
    503: "Not now: no secret key, no database, no Airflow, or integrations are off",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route, for OpenAPI."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        for status in statuses
    }
