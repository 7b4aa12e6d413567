"""The business API: resources of the company that the bearer token is bound to."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from providers.bqe.sandbox import api_errors, listing
from providers.bqe.sandbox.api_errors import MEDIA_TYPE, ApiError
from providers.bqe.sandbox.grants import COMPANIES, Bearer
from providers.bqe.sandbox.listing import Listing, PageCache
from providers.bqe.sandbox.quota import Verdict
from providers.bqe.sandbox.schema import SCHEMAS
from providers.bqe.sandbox.state import Sandbox

Key = tuple[object, ...]

GZIP_ABOVE_BYTES = 1024
MODULE_RESOURCES = ("project", "timeentry")
OFFSETS_MIN = range(-720, 841)


class Api:
    """Endpoints under /api."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._cache = PageCache()

    def routes(self) -> list[Route]:
        """Paths relative to the mount."""
        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [
            Route("/version", self.version),
            Route("/health", self.health),
            Route("/{entity}", self.collection, methods=every),
            Route("/{entity}/{record_id}", self.single, methods=every),
        ]

    async def version(self, _request: Request) -> Response:
        """No token needed (a guess)."""
        return _json(msgspec.json.encode({"version": "sandbox"}), {})

    async def health(self, _request: Request) -> Response:
        """No token needed (a guess)."""
        return PlainTextResponse("Healthy")

    async def collection(self, request: Request) -> Response:
        """One page of a resource, or its count."""
        try:
            bearer, verdict = self._admit(request)
            entity = request.path_params["entity"]
            asked = self._asked(request, entity)
            key, body = self._page(bearer.company, entity, asked)
        except ApiError as error:
            return error.response
        if len(body) <= GZIP_ABOVE_BYTES or "gzip" not in _encodings(request):
            return _json(body, verdict.headers)
        packed = self._kept(key and ("gzip", *key), lambda: gzip.compress(body, 1, mtime=0))
        headers = {**verdict.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return _json(packed, headers)

    async def single(self, request: Request) -> Response:
        """One record as an object."""
        try:
            bearer, verdict = self._admit(request)
            entity = request.path_params["entity"]
            asked = self._asked(request, entity)
            table = self._sandbox.table(bearer.company, entity)
            row = table.rows.get(request.path_params["record_id"])
            if row is None:
                raise api_errors.modern(404, "The record does not exist.")
        except ApiError as error:
            return error.response
        shown = listing.shown(row, asked, table.schema, int(self._sandbox.clock.epoch()))
        return _json(msgspec.json.encode(shown), verdict.headers)

    def _admit(self, request: Request) -> tuple[Bearer, Verdict]:
        switches = self._sandbox.switches
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = self._sandbox.grants.bearer(token) if scheme.lower() == "bearer" else None
        if bearer is None:
            raise api_errors.bad_token()
        verdict = self._sandbox.quota.take(bearer.client_id, bearer.company)
        if verdict.wait_s:
            limit = switches.quota_per_minute
            raise api_errors.quota_exceeded(limit, verdict.wait_s, verdict.headers)
        if not bearer.scopes & {"read:core", "readwrite:core"}:
            raise api_errors.small_scope()
        if request.method not in ("GET", "HEAD"):
            raise _no_write(bearer)
        self._permit(bearer, request.path_params["entity"])
        return bearer, verdict

    def _permit(self, bearer: Bearer, entity: str) -> None:
        switches = self._sandbox.switches
        if entity not in SCHEMAS:
            raise api_errors.modern(404, f"There is no resource '{entity}'.")
        lacks = entity in MODULE_RESOURCES and not COMPANIES[bearer.company].has_projects
        if lacks or entity in switches.unsubscribed:
            raise api_errors.not_subscribed()
        if entity in switches.denied:
            raise api_errors.missing_permission()
        if entity in switches.sec_module:
            raise api_errors.module_security()

    def _asked(self, request: Request, entity: str) -> Listing:
        asked = listing.read(request.query_params, SCHEMAS[entity], self._sandbox.switches)
        offset = request.headers.get("x-utc-offset", "0").strip()
        if not offset.lstrip("+-").isdigit() or int(offset) not in OFFSETS_MIN:
            raise api_errors.modern(400, f"Invalid X-UTC-Offset: {offset}")
        if self._sandbox.switches.shift_dates:
            return replace(asked, shift_min=int(offset))
        return asked

    def _page(self, company: str, entity: str, asked: Listing) -> tuple[Key | None, bytes]:
        table, switches = self._sandbox.table(company, entity), self._sandbox.switches
        epoch_s = int(self._sandbox.clock.epoch())
        moves = "token" in (asked.fields or table.schema.kinds)  # another value each second
        shape = (switches.visible_percent, switches.count_shape)
        place = (company, entity, table.generation, table.version)
        key = None if moves else (*place, *shape, *asked.key)
        return key, self._kept(key, lambda: listing.answer(asked, table, switches, epoch_s))

    def _kept(self, key: Key | None, make: Callable[[], bytes]) -> bytes:
        if key is None:
            return make()
        body = self._cache.get(key)
        if body is None:
            body = make()
            self._cache.put(key, body)
        return body


def _encodings(request: Request) -> str:
    return request.headers.get("accept-encoding", "").lower()


def _no_write(bearer: Bearer) -> ApiError:
    if "readwrite:core" not in bearer.scopes:
        return api_errors.small_scope()
    return ApiError(PlainTextResponse("The sandbox does not write.", 405))


def _json(body: bytes, headers: dict[str, str]) -> Response:
    if not body:
        return Response(status_code=204, headers=headers)
    return Response(body, headers=headers, media_type=MEDIA_TYPE)
