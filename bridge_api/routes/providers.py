"""The catalogue: providers, objects, fields, default mappings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from bridge_api.deps import Key, Services, bridge, redirect_uri
from bridge_api.models.problems import problems
from bridge_api.models.providers import (
    Catalog,
    MappingDefaults,
    ProviderDetails,
    ProviderList,
    ProviderSummary,
)
from bridge_api.routing import HubRoute
from integrations_hub.catalog.metadata import Provider
from integrations_hub.errors import SettingInvalid

router = APIRouter(
    route_class=HubRoute,
    prefix="/api/integrations",
    tags=["providers"],
    responses=problems(401, 403, 404, 422, 503),
)


@router.get("/providers")
def list_providers(services: Services) -> ProviderList:
    """Every installed provider."""
    found = services.registry.list_providers()
    return ProviderList(items=[ProviderSummary.of(provider) for provider in found])


@router.get("/{provider}")
def get_provider(request: Request, provider: Key, services: Services) -> ProviderDetails:
    """One provider, and what is still missing before anyone can connect."""
    found = services.registry.get_provider(provider)
    try:
        uri: str | None = redirect_uri(request, provider)
    except SettingInvalid:
        uri = None
    redirects = "authorization_code" in found.oauth.flows
    missing = _missing(found, request) + (["HUB_PUBLIC_URL"] if redirects and not uri else [])
    return ProviderDetails.with_setup(found, redirect_uri=uri, missing_settings=missing)


@router.get(
    "/{provider}/catalog", response_model=Catalog, responses={304: {"description": "Not changed"}}
)
def get_catalog(
    provider: Key,
    services: Services,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Catalog | Response:
    """Objects and fields with the schema of a rule; its ETag changes with provider.json only."""
    found = services.registry.get_provider(provider)
    headers = {"ETag": f'"{found.checksum}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in (if_none_match or ""):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return Catalog.of(found)


@router.get("/{provider}/{object}/mapping/defaults")
def get_mapping_defaults(provider: Key, object: Key, services: Services) -> MappingDefaults:  # noqa: A002 - the path's word
    """The mapping that a rule has before anyone changes it."""
    return MappingDefaults.of(services.registry.get_object_catalog(provider, object))


def _missing(provider: Provider, request: Request) -> list[str]:
    environ = bridge(request).settings.environ
    prefix = provider.oauth.env_prefix
    needed = [header.env_key for header in provider.required_headers if header.source == "env"]
    if "authorization_code" in provider.oauth.flows:  # else credentials come with a connection
        needed = [f"{prefix}_CLIENT_ID", f"{prefix}_CLIENT_SECRET", *needed]
    return [name for name in needed if name and not environ.get(name)]
