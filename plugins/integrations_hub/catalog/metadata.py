"""What provider.json declares, as values. Built by the loader only; facts here, behaviour in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OAuth:
    """How a person authorises the Hub. Paths are relative to `auth_base_url`.

    `endpoint_from_token`: member of the token answer that carries the API base, None when the base
    is fixed. `company_claim`: claim of the id token that names the company, None when there is none.
    `refresh_rotates`: every refresh kills the refresh token it spent; `refresh_reuse`: whether the
    spent one works again for a while. `issuer`: what the callback's `iss` must be (RFC 9207), None =
    `auth_base_url`.
    """

    flows: tuple[str, ...]
    scopes: tuple[str, ...]
    auth_base_url: str
    authorize_path: str
    token_path: str
    revocation_path: str | None
    userinfo_path: str | None
    pkce: str | None
    client_auth: str  # body | basic
    endpoint_from_token: str | None
    company_claim: str | None
    allowed_hosts: tuple[str, ...]  # exact names or "*.name"
    refresh_rotates: bool
    refresh_margin_s: int
    refresh_reuse: str  # grace | none | unknown
    setup_hints: tuple[str, ...]
    env_prefix: str
    issuer: str | None = None


@dataclass(frozen=True)
class RequiredHeader:
    """A header that every request carries; its value comes from the environment or the connection."""

    key: str
    label: str
    source: str  # env | connection
    env_key: str | None


@dataclass(frozen=True)
class BaseUrlVariant:
    """One environment of the provider. The token answer's endpoint, where declared, wins over `url`."""

    key: str
    label: str
    url: str


@dataclass(frozen=True)
class RateLimits:
    """What the Hub plans with, below what the provider allows. Concurrency is per connection."""

    requests_per_minute: int
    burst: int
    max_concurrent: int
    global_requests_per_minute: int


@dataclass(frozen=True)
class Paging:
    """How a list is cut into pages; `size` is what the Hub asks for, `max_size` the provider's limit."""

    style: str  # page_comma_size: one parameter "number,size"
    parameter: str
    first: int
    size: int
    max_size: int
    end: str  # 204_or_short_page


@dataclass(frozen=True)
class ProbeRequest:
    """The cheapest request that proves a connection."""

    path: str
    query: dict[str, str]


@dataclass(frozen=True)
class HttpFacts:
    """`datetime_format`: strftime form of a UTC instant inside filters."""

    user_agent: str
    accept: str
    test_request: ProbeRequest
    datetime_format: str
    retry_statuses: tuple[int, ...]


@dataclass(frozen=True)
class ErrorRule:
    """What an answer means. The first rule that matches wins; patterns are searched, not anchored.

    A None pattern matches anything, also an answer without that member.
    """

    status: int
    key_pattern: str | None
    message_pattern: str | None
    kind: str  # configuration|authorization|permission|subscription|quota|transient|contract
    hint: str


@dataclass(frozen=True)
class Field:
    """An attribute of an object at the provider. `enum`: label by code, as far as the codes are known."""

    key: str
    label: str
    type: str  # id|text|html|day|datetime|integer|decimal|boolean|enum
    nullable: bool
    identity: bool
    pii: bool
    filterable: bool
    sortable: bool
    requestable: bool
    max_length: int | None
    enum: dict[str, str] | None
    evidence: str  # documented|observed|reported|inferred|guess


@dataclass(frozen=True)
class Capabilities:
    """Which listings the object allows."""

    full: bool
    delta: bool


@dataclass(frozen=True)
class Hierarchy:
    """`empty_parents`: values of `parent_key` that, like null and absence, mean "top level"."""

    parent_key: str
    root_key: str | None
    level_key: str | None
    empty_parents: tuple[str, ...]


@dataclass(frozen=True)
class ParentOnly:
    """A server-side filter for top-level records; sent only after a probe accepted it (D14)."""

    query: str
    description: str
    verified: bool


@dataclass(frozen=True)
class MappingEntry:
    """Provider field `source` fills local column `target`. `values`: local value by provider code."""

    source: str
    target: str
    required: bool
    values: dict[str, str] | None
    unknown: str  # keep_local | reject | null


@dataclass(frozen=True)
class DefaultMapping:
    """`version`: rises when saved mappings must be looked at again (D12)."""

    version: int
    entries: tuple[MappingEntry, ...]


@dataclass(frozen=True)
class ObjectMeta:
    """A collection that can be synced.

    `item_path` reads one record and holds `{id}`. `order_field` never changes in a record: full
    listings are ordered by it. `cursor_field` carries the "updated at" stamp; filters express it in
    steps of `cursor_precision_s`, and an incremental run reads `overlap_s` again. `hash_exclude`:
    fields that change without a change of the record. `defaults`: rule options that differ from
    the generic ones.
    """

    key: str
    label: str
    path: str
    item_path: str
    fields: dict[str, Field]
    capabilities: Capabilities
    hierarchy: Hierarchy | None
    parent_only: ParentOnly | None
    order_field: str
    cursor_field: str
    cursor_precision_s: int
    overlap_s: int
    deny_fields: tuple[str, ...]
    local_entity: str
    mapping: DefaultMapping
    include_subprojects_locked: bool
    defaults: Mapping[str, Any]
    hash_exclude: tuple[str, ...]

    @property
    def identity_field(self) -> str:
        """The field that carries the record's id (the loader proved that there is exactly one)."""
        return next(item.key for item in self.fields.values() if item.identity)


@dataclass(frozen=True)
class Provider:
    """One provider.json. `raw` is the document as read, evidence marks and unknown keys included.

    `checksum`: sha256 of the canonical JSON of `raw`.
    """

    key: str
    schema_version: str
    display_name: str
    oauth: OAuth
    required_headers: tuple[RequiredHeader, ...]
    base_url_variants: dict[str, BaseUrlVariant]
    rate_limits: RateLimits
    paging: Paging
    http: HttpFacts
    errors: tuple[ErrorRule, ...]
    objects: dict[str, ObjectMeta]
    raw: dict[str, Any] = field(repr=False)
    checksum: str
