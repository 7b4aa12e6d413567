"""BQE CORE's lists: `fields`, `where`, `orderBy` and `page=N,size`, driven by the object's metadata."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage
from integrations_hub.domain.stamps import format_stamp
from integrations_hub.errors import (
    PageUnreadable,
    PermissionMissing,
    ProviderContractError,
    RequestRejected,
)
from integrations_hub.ports.outside import HttpClient, HttpResponse
from integrations_hub.transport.http_date import parse_http_date

_BOM = b"\xef\xbb\xbf"


class BqeList:
    """Fulfils ports.ObjectClient for any object whose list follows the API's rules."""

    def __init__(self, provider: Provider, obj: ObjectMeta, http: HttpClient) -> None:
        self._provider = provider
        self._obj = obj
        self._http = http

    def count(self, query: ListQuery) -> int:
        """`count(*)` may not be joined with orderBy or page."""
        answer = self._http.get(self._obj.path, {"fields": "count(*)"} | self._where(query))
        return 0 if answer.status == 204 else self._counted(answer)

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        """Past the last page the API answers 204, which is an empty page here."""
        denied = set(query.fields) & set(self._obj.deny_fields)
        if denied:
            raise RequestRejected(
                f"{self._obj.label}: {', '.join(sorted(denied))} may not be read.",
                hint="Take these fields out of the mapping.",
            )
        order = self._obj.cursor_field if query.by_stamp else self._obj.order_field
        paging = self._provider.paging
        answer = self._http.get(
            self._obj.path,
            {
                "fields": ",".join(query.fields),
                "orderBy": f"{order} asc",
                paging.parameter: f"{number - 1 + paging.first},{size}",
            }
            | self._where(query),
        )
        return RawPage(body=self._array(answer, number), provider_now=_provider_now(answer))

    def presence(self, external_id: str) -> str:
        """404 and 410 are the API's word that the record is gone; anything unclear is `unproven`."""
        path = self._obj.item_path.replace("{id}", quote(external_id, safe=""))
        hierarchy = self._obj.hierarchy
        names = [self._obj.identity_field, *([hierarchy.parent_key] if hierarchy else [])]
        try:
            answer = self._http.get(path, {"fields": ",".join(names)}, absent_ok=True)
        except PermissionMissing:
            return "forbidden"
        if answer.status in (404, 410):
            return "gone"
        record = _record(answer)
        if record is None or record.get(names[0]) != external_id:
            return "unproven"
        parent = record.get(hierarchy.parent_key) if hierarchy else None
        top = (None, "", *(hierarchy.empty_parents if hierarchy else ()))
        return "present" if parent in top else "child"

    def probe_parent_only(self) -> FilterProbe:
        """Accepted or refused, and how many records it finds.

        Whether they are the right ones is proven by the next full listing.
        """
        if self._obj.parent_only is None:
            return FilterProbe(False, "The metadata names no filter for top-level records.")
        try:
            found = self.count(ListQuery(fields=(), by_stamp=False, parent_only=True))
        except RequestRejected as error:
            return FilterProbe(False, error.message)
        return FilterProbe(True, f"The filter finds {found} records.", found)

    def _where(self, query: ListQuery) -> dict[str, str]:
        cursor = self._obj.cursor_field
        clauses = []
        if query.since is not None:
            clauses.append(f"{cursor} >= '{self._literal(query.since)}'")
        if query.until is not None:
            clauses.append(f"{cursor} < '{self._literal(query.until)}'")
        if query.parent_only and self._obj.parent_only is not None:
            clauses.append(self._obj.parent_only.query)
        return {"where": " AND ".join(clauses)} if clauses else {}

    def _literal(self, instant: datetime) -> str:
        """Whole seconds of naive UTC; the API refuses a trailing Z."""
        return format_stamp(instant, self._provider.http.datetime_format)

    def _counted(self, answer: HttpResponse) -> int:
        try:
            rows = json.loads(answer.content)
        except ValueError:
            rows = None
        if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict):
            count = rows[0].get("count")
            if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
                return count
        raise ProviderContractError(
            f'{self._obj.path}: count(*) was answered with something else than [{{"count": N}}].'
        )

    def _array(self, answer: HttpResponse, number: int) -> bytes:
        if answer.status == 204:
            return b"[]"
        body = answer.content.removeprefix(_BOM)
        if body.lstrip()[:1] != b"[":
            raise PageUnreadable(f"{self._obj.path}: page {number} is no JSON array.")
        return body


def _record(answer: HttpResponse) -> dict[str, Any] | None:
    """The one record of an answer by id; some resources wrap it in an array."""
    try:
        found = json.loads(answer.content)
    except ValueError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, dict) else None


def _provider_now(answer: HttpResponse) -> datetime | None:
    now = parse_http_date(answer.headers.get("date"))
    return None if now is None else now.replace(tzinfo=None)
