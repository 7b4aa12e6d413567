"""An invented provider as the catalog would load it; its rules resemble no real service's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from integrations_hub.catalog.metadata import (
    Capabilities,
    DefaultMapping,
    ErrorRule,
    HttpFacts,
    OAuth,
    ObjectMeta,
    Paging,
    ParentOnly,
    ProbeRequest,
    Provider,
    RateLimits,
)

WIDGETS = ObjectMeta(
    key="widgets", label="Widgets", path="/widget", item_path="/widget/{id}", fields={},
    capabilities=Capabilities(full=True, delta=True), hierarchy=None,
    parent_only=ParentOnly("parentId is null", "top-level only", verified=False),
    order_field="createdOn", cursor_field="lastUpdated", cursor_precision_s=1, overlap_s=300,
    deny_fields=("secretNote",), local_entity="project", mapping=DefaultMapping(1, ()),
    include_subprojects_locked=True, defaults={}, hash_exclude=(),
)  # fmt: skip

RULES = (
    ErrorRule(401, None, "not subscribed", "subscription", "Subscribe to the module."),
    ErrorRule(409, "^MsgPermissions$", None, "permission", "Grant the right."),
    ErrorRule(409, None, None, "configuration", "Correct the request."),
    ErrorRule(424, None, "SqlError", "configuration", "Correct the field."),
    ErrorRule(403, None, "insufficient_scope", "authorization", "Reconnect with more scopes."),
)


def acme(**changes: Any) -> Provider:
    """The provider, with some attributes replaced."""
    provider = Provider(
        key="acme",
        schema_version="1.0",
        display_name="Acme",
        oauth=OAuth(
            flows=("authorization_code",), scopes=("read", "offline_access"),
            auth_base_url="https://id.acme.example/idp", authorize_path="/connect/authorize",
            token_path="/connect/token", revocation_path=None, userinfo_path=None, pkce="S256",
            client_auth="body", endpoint_from_token="endpoint", company_claim="companyId",
            allowed_hosts=("api.acme.example", "*.eu.acme.example"), refresh_rotates=True,
            refresh_margin_s=300, refresh_reuse="unknown", setup_hints=(), env_prefix="ACME",
        ),
        required_headers=(),
        base_url_variants={},
        rate_limits=RateLimits(80, 5, 2, 80),
        paging=Paging("page_comma_size", "page", 1, 500, 1000, "204_or_short_page"),
        http=HttpFacts("Hub/1", "application/json", ProbeRequest("/widget", {}), "%Y-%m-%dT%H:%M:%S", (429, 503)),
        errors=RULES,
        objects={"widgets": WIDGETS},
        raw={},
        checksum="",
    )  # fmt: skip
    return replace(provider, **changes)
