"""The provider.json of an invented provider, small and valid, and what the loader says once it is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrations_hub.catalog.loader import load_provider
from integrations_hub.errors import MetadataInvalid

Change = Callable[[dict[str, Any]], object]
ACME: dict[str, Any] = {
    "providerSchemaVersion": "1.0",
    "key": "acme",
    "displayName": "Acme",
    "oauth": {
        "flows": ["authorization_code"],
        "scopes": ["read"],
        "authBaseUrl": "https://id.acme.example/idp",
        "authorizePath": "/authorize",
        "tokenPath": "/token",
        "pkce": "S256",
        "clientAuth": "basic",
        "allowedHosts": ["id.acme.example", "*.api.acme.example"],
        "refreshRotates": True,
        "envPrefix": "ACME",
        "evidence": {"flows": "documented"},
    },
    "requiredHeaders": [],
    "baseUrlVariants": {
        "production": {
            "label": "Production",
            "url": "https://eu.api.acme.example/v1",
            "evidence": "guess",
        }
    },
    "rateLimits": {
        "requestsPerMinute": 60,
        "burst": 2,
        "maxConcurrentPerConnection": 3,
        "globalRequestsPerMinute": 90,
        "evidence": {"burst": "guess"},
    },
    "paging": {
        "style": "page_comma_size",
        "parameter": "page",
        "first": 1,
        "size": 100,
        "maxSize": 200,
        "end": "204_or_short_page",
        "evidence": {"size": "guess"},
    },
    "http": {
        "userAgent": "acme-test",
        "accept": "application/json",
        "testRequest": {"path": "/widget", "query": {"page": "1,1"}},
        "datetimeFormat": "%Y-%m-%dT%H:%M:%S",
        "retryStatuses": [429, 503],
        "evidence": {"accept": "guess"},
    },
    "errors": [
        {
            "status": 409,
            "keyPattern": "^NoRight$",
            "kind": "permission",
            "hint": "Ask.",
            "evidence": "guess",
        },
        {"status": 429, "kind": "quota", "hint": "Wait.", "evidence": "guess"},
    ],
    "objects": {
        "widgets": {
            "label": "Widgets",
            "path": "/widget",
            "itemPath": "/widget/{id}",
            "localEntity": "project",
            "mappingSchemaVersion": 4,
            "capabilities": {"full": True, "delta": True},
            "list": {"order": "id"},
            "cursor": {"field": "changed", "precisionSeconds": 1, "overlapSeconds": 60},
            "hierarchy": {
                "parentKey": "parent",
                "emptyParents": ["", "0"],
                "includeSubprojectsLocked": True,
            },
            "filters": {
                "parentOnly": {"query": "parent is null", "description": "Tops.", "verified": False}
            },
            "denyFields": ["secret"],
            "hashExclude": ["changed"],
            "fields": [
                {
                    "key": "id",
                    "label": "ID",
                    "type": "id",
                    "nullable": False,
                    "identity": True,
                    "sortable": True,
                    "evidence": "guess",
                },
                {"key": "title", "label": "Title", "type": "text", "evidence": "guess"},
                {"key": "parent", "label": "Parent", "type": "id", "evidence": "guess"},
                {
                    "key": "state",
                    "label": "State",
                    "type": "enum",
                    "enum": {"0": "Open"},
                    "evidence": "guess",
                },
                {"key": "begins", "label": "Begins", "type": "day", "evidence": "guess"},
                {
                    "key": "changed",
                    "label": "Changed",
                    "type": "datetime",
                    "filterable": True,
                    "sortable": True,
                    "evidence": "guess",
                },
                {"key": "note", "label": "Note", "type": "html", "pii": True, "evidence": "guess"},
            ],
            "defaultMapping": [
                {"source": "title", "target": "name", "required": True},
                {
                    "source": "state",
                    "target": "status",
                    "values": {"0": "active"},
                    "unknown": "reject",
                },
                {"source": "begins", "target": "start_date"},
                {"source": "note", "target": "notes"},
            ],
            "evidence": {"path": "guess"},
        }
    },
}


def written(folder: Path, raw: Any, name: str = "acme") -> Path:
    """`raw` as `folder`/`name`/provider.json."""
    path = folder / name / "provider.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def errors_after(tmp_path: Path, change: Change, folder: str = "acme") -> list[str]:
    """The lines of the refusal of ACME after `change`."""
    raw = copy.deepcopy(ACME)
    change(raw)
    with pytest.raises(MetadataInvalid) as caught:
        load_provider(written(tmp_path, raw, folder))
    head, *lines = caught.value.message.splitlines()
    assert head.endswith(("error:", "errors:"))
    return [line.strip() for line in lines]


def widgets(raw: dict[str, Any]) -> dict[str, Any]:
    """ACME's only object."""
    return raw["objects"]["widgets"]


def field(raw: dict[str, Any], key: str) -> dict[str, Any]:
    """Its field `key`."""
    return next(one for one in widgets(raw)["fields"] if one["key"] == key)


def entry(raw: dict[str, Any], target: str) -> dict[str, Any]:
    """Its line of the default mapping that fills `target`."""
    return next(one for one in widgets(raw)["defaultMapping"] if one["target"] == target)
