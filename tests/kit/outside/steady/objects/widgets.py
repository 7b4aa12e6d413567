"""Widgets: `GET /widget?page=N,size`, and `/widget/count`."""

from __future__ import annotations

import json

from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage
from integrations_hub.ports.outside import HttpClient
from integrations_hub.ports.provider import ObjectClient


def build(provider: Provider, obj: ObjectMeta, http: HttpClient) -> ObjectClient:
    """The list client."""
    return _Widgets(obj, http)


class _Widgets:
    def __init__(self, obj: ObjectMeta, http: HttpClient) -> None:
        self._path = obj.path
        self._http = http

    def count(self, query: ListQuery) -> int:
        return int(json.loads(self._http.get(f"{self._path}/count", {}).content)["count"])

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        answer = self._http.get(self._path, {"page": f"{number},{size}"})
        return RawPage(body=answer.content, provider_now=None)

    def probe_parent_only(self) -> FilterProbe:
        return FilterProbe(False, "Steady filters nothing.")
