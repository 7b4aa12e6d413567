"""Projects and their phases; only top-level ones are imported."""

from __future__ import annotations

from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.ports.outside import HttpClient
from integrations_hub.ports.provider import ObjectClient
from providers.bqe.listing import BqeList


def build(provider: Provider, obj: ObjectMeta, http: HttpClient) -> ObjectClient:
    """The list client; everything particular to projects stands in the metadata."""
    return BqeList(provider, obj, http)
