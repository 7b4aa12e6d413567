"""From a valid provider.json to metadata. Nothing is checked here; the loader has done that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from integrations_hub.catalog.metadata import (
    BaseUrlVariant,
    Capabilities,
    DefaultMapping,
    ErrorRule,
    Field,
    Hierarchy,
    HttpFacts,
    MappingEntry,
    OAuth,
    ObjectMeta,
    Paging,
    ParentOnly,
    ProbeRequest,
    Provider,
    RateLimits,
    RequiredHeader,
)

_REFRESH_MARGIN_S = 300

_Json = Mapping[str, Any]


def provider_of(raw: dict[str, Any]) -> Provider:
    """The metadata of a document that passed every check."""
    return Provider(
        key=raw["key"],
        schema_version=raw["providerSchemaVersion"],
        display_name=raw["displayName"],
        oauth=_oauth(raw["oauth"]),
        required_headers=tuple(
            RequiredHeader(item["key"], item["label"], item["source"], item.get("envKey"))
            for item in raw["requiredHeaders"]
        ),
        base_url_variants={
            key: BaseUrlVariant(key, item["label"], item["url"])
            for key, item in raw["baseUrlVariants"].items()
        },
        rate_limits=_rate_limits(raw["rateLimits"]),
        paging=_paging(raw["paging"]),
        http=_http(raw["http"]),
        errors=tuple(_error(item) for item in raw["errors"]),
        objects={key: object_of(key, item) for key, item in raw["objects"].items()},
        raw=raw,
        checksum=checksum(raw),
    )


def checksum(raw: _Json) -> str:
    """sha256 of the canonical JSON (sorted members, no blanks, ASCII)."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def object_of(key: str, raw: _Json) -> ObjectMeta:
    """One object of a valid document."""
    cursor, filters = raw["cursor"], raw.get("filters", {})
    return ObjectMeta(
        key=key,
        label=raw["label"],
        path=raw["path"],
        item_path=raw["itemPath"],
        fields={item["key"]: _field(item) for item in raw["fields"]},
        capabilities=Capabilities(raw["capabilities"]["full"], raw["capabilities"]["delta"]),
        hierarchy=_hierarchy(raw["hierarchy"]) if "hierarchy" in raw else None,
        parent_only=_parent_only(filters["parentOnly"]) if "parentOnly" in filters else None,
        order_field=raw["list"]["order"],
        cursor_field=cursor["field"],
        cursor_precision_s=int(cursor["precisionSeconds"]),
        overlap_s=int(cursor["overlapSeconds"]),
        deny_fields=tuple(raw.get("denyFields", ())),
        local_entity=raw["localEntity"],
        mapping=DefaultMapping(
            version=int(raw["mappingSchemaVersion"]),
            entries=tuple(_entry(item) for item in raw["defaultMapping"]),
        ),
        include_subprojects_locked=bool(raw.get("hierarchy", {}).get("includeSubprojectsLocked")),
        defaults=dict(raw.get("ruleDefaults", {})),
        hash_exclude=tuple(raw.get("hashExclude", ())),
    )


def _oauth(raw: _Json) -> OAuth:
    return OAuth(
        flows=tuple(raw["flows"]),
        scopes=tuple(raw["scopes"]),
        auth_base_url=raw["authBaseUrl"],
        authorize_path=raw.get("authorizePath", ""),
        token_path=raw["tokenPath"],
        revocation_path=raw.get("revocationPath"),
        userinfo_path=raw.get("userinfoPath"),
        pkce=raw.get("pkce"),
        client_auth=raw["clientAuth"],
        endpoint_from_token=raw.get("endpointFromToken"),
        company_claim=raw.get("companyClaim"),
        allowed_hosts=tuple(raw["allowedHosts"]),
        refresh_rotates=raw["refreshRotates"],
        refresh_margin_s=int(raw.get("refreshMarginSeconds", _REFRESH_MARGIN_S)),
        refresh_reuse=raw.get("refreshReuse", "unknown"),
        setup_hints=tuple(raw.get("setupHints", ())),
        env_prefix=raw["envPrefix"],
        issuer=raw.get("issuer"),
    )


def _rate_limits(raw: _Json) -> RateLimits:
    return RateLimits(
        requests_per_minute=int(raw["requestsPerMinute"]),
        burst=int(raw["burst"]),
        max_concurrent=int(raw["maxConcurrentPerConnection"]),
        global_requests_per_minute=int(raw["globalRequestsPerMinute"]),
    )


def _paging(raw: _Json) -> Paging:
    return Paging(
        style=raw["style"],
        parameter=raw["parameter"],
        first=int(raw["first"]),
        size=int(raw["size"]),
        max_size=int(raw["maxSize"]),
        end=raw["end"],
    )


def _http(raw: _Json) -> HttpFacts:
    probe = raw["testRequest"]
    return HttpFacts(
        user_agent=raw["userAgent"],
        accept=raw["accept"],
        test_request=ProbeRequest(probe["path"], dict(probe.get("query", {}))),
        datetime_format=raw["datetimeFormat"],
        retry_statuses=tuple(int(status) for status in raw["retryStatuses"]),
    )


def _error(raw: _Json) -> ErrorRule:
    return ErrorRule(
        status=int(raw["status"]),
        key_pattern=raw.get("keyPattern"),
        message_pattern=raw.get("messagePattern"),
        kind=raw["kind"],
        hint=raw["hint"],
    )


def _field(raw: _Json) -> Field:
    return Field(
        key=raw["key"],
        label=raw["label"],
        type=raw["type"],
        nullable=raw.get("nullable", True),
        identity=raw.get("identity", False),
        pii=raw.get("pii", False),
        filterable=raw.get("filterable", False),
        sortable=raw.get("sortable", False),
        requestable=raw.get("requestable", True),
        max_length=raw.get("maxLength"),
        enum=dict(raw["enum"]) if "enum" in raw else None,
        evidence=raw["evidence"],
    )


def _hierarchy(raw: _Json) -> Hierarchy:
    return Hierarchy(
        parent_key=raw["parentKey"],
        root_key=raw.get("rootKey"),
        level_key=raw.get("levelKey"),
        empty_parents=tuple(raw["emptyParents"]),
    )


def _parent_only(raw: _Json) -> ParentOnly:
    return ParentOnly(raw["query"], raw["description"], raw["verified"])


def _entry(raw: _Json) -> MappingEntry:
    return MappingEntry(
        source=raw["source"],
        target=raw["target"],
        required=raw.get("required", False),
        values=dict(raw["values"]) if "values" in raw else None,
        unknown=raw.get("unknown", "keep_local"),
    )
