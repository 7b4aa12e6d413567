"""Providers, their objects and fields, as declared in provider.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from integrations_hub.catalog import rule_form
from integrations_hub.catalog.connect_form import connect_forms
from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.catalog.signature import field_signature


class Environment(BaseModel):
    """A place of the provider that a connection belongs to."""

    key: str
    label: str
    url: str


class ProviderSummary(BaseModel):
    """A line of the list."""

    key: str
    display_name: str
    schema_version: str
    objects: list[str]
    environments: list[Environment]

    @classmethod
    def of(cls, provider: Provider) -> ProviderSummary:
        """Its keys and names."""
        return cls(**_summary(provider))


class ProviderList(BaseModel):
    """Every installed provider, by key."""

    items: list[ProviderSummary]


class RequiredHeader(BaseModel):
    """A header of every request; `env_key` names the setting that holds its value."""

    key: str
    label: str
    source: str
    env_key: str | None


class RateLimits(BaseModel):
    """As declared; the environment and a connection may override them."""

    requests_per_minute: int
    burst: int
    max_concurrent: int
    global_requests_per_minute: int


class ProviderDetails(ProviderSummary):
    """`missing_settings`: what the operator must set before anyone can connect.

    `connect_forms`: by flow, the JSON Schema of the body of connect/start or connect/credentials.
    `raw` is provider.json as read, evidence marks and unknown members included.
    """

    flows: list[str]
    connect_forms: dict[str, dict[str, Any]]
    scopes: list[str]
    setup_hints: list[str]
    redirect_uri: str | None
    missing_settings: list[str]
    required_headers: list[RequiredHeader]
    rate_limits: RateLimits
    raw: dict[str, Any]

    @classmethod
    def with_setup(
        cls, provider: Provider, *, redirect_uri: str | None, missing_settings: list[str]
    ) -> ProviderDetails:
        """The provider and what connecting to it needs."""
        return cls(
            **_summary(provider),
            flows=list(provider.oauth.flows),
            connect_forms=connect_forms(provider),
            scopes=list(provider.oauth.scopes),
            setup_hints=list(provider.oauth.setup_hints),
            redirect_uri=redirect_uri,
            missing_settings=missing_settings,
            required_headers=[RequiredHeader(**asdict(one)) for one in provider.required_headers],
            rate_limits=RateLimits(**asdict(provider.rate_limits)),
            raw=provider.raw,
        )


class FieldView(BaseModel):
    """A field at the provider. `enum`: label by code, as far as the codes are known."""

    key: str
    label: str
    type: str
    nullable: bool
    identity: bool
    pii: bool
    filterable: bool
    sortable: bool
    requestable: bool
    max_length: int | None
    enum: dict[str, str] | None
    evidence: str


class ParentOnlyFilter(BaseModel):
    """The server-side filter for top-level records."""

    query: str
    description: str
    verified: bool


class ObjectView(BaseModel):
    """An object with its fields; `rule_schema` is the JSON Schema of a rule body."""

    key: str
    label: str
    full: bool
    delta: bool
    local_entity: str
    parent_key: str | None
    parent_only: ParentOnlyFilter | None
    field_signature: str
    fields: list[FieldView]
    rule_schema: dict[str, Any]

    @classmethod
    def of(cls, obj: ObjectMeta) -> ObjectView:
        """Everything a form needs."""
        return cls(
            key=obj.key,
            label=obj.label,
            full=obj.capabilities.full,
            delta=obj.capabilities.delta,
            local_entity=obj.local_entity,
            parent_key=obj.hierarchy.parent_key if obj.hierarchy else None,
            parent_only=ParentOnlyFilter(**asdict(obj.parent_only)) if obj.parent_only else None,
            field_signature=field_signature(obj),
            fields=[FieldView(**asdict(one)) for one in obj.fields.values()],
            rule_schema=rule_form.schema(obj),
        )


class Catalog(BaseModel):
    """All objects of a provider; changes only with `checksum`."""

    provider: str
    schema_version: str
    checksum: str
    objects: list[ObjectView]

    @classmethod
    def of(cls, provider: Provider) -> Catalog:
        """Every object with every field."""
        return cls(
            provider=provider.key,
            schema_version=provider.schema_version,
            checksum=provider.checksum,
            objects=[ObjectView.of(obj) for obj in provider.objects.values()],
        )


class MappingLine(BaseModel):
    """`source` fills `target`; `values` translates codes, `unknown` says what happens to others."""

    source: str
    target: str
    required: bool
    values: dict[str, str] | None
    unknown: str


class MappingDefaults(BaseModel):
    """The mapping that a rule has before anyone changes it."""

    version: int
    field_signature: str
    lines: list[MappingLine]

    @classmethod
    def of(cls, obj: ObjectMeta) -> MappingDefaults:
        """As declared."""
        return cls(
            version=obj.mapping.version,
            field_signature=field_signature(obj),
            lines=[MappingLine(**asdict(line)) for line in obj.mapping.entries],
        )


def _summary(provider: Provider) -> dict[str, Any]:
    return {
        "key": provider.key,
        "display_name": provider.display_name,
        "schema_version": provider.schema_version,
        "objects": list(provider.objects),
        "environments": [Environment(**asdict(one)) for one in provider.base_url_variants.values()],
    }
