"""The forms that connect a provider, as JSON Schema, one per flow that its metadata lists."""

from __future__ import annotations

from typing import Any

from integrations_hub.catalog.metadata import Provider

_CHANGE = {
    "type": "boolean",
    "title": "Another company than before is meant",
    "description": "Without it, a sign-in of another company is refused.",
    "default": False,
}


def connect_forms(provider: Provider) -> dict[str, dict[str, Any]]:
    """Schema by flow: the body of connect/start or of connect/credentials."""
    return {flow: _FORMS[flow](provider) for flow in provider.oauth.flows}


def _consent(provider: Provider) -> dict[str, Any]:
    return _form(f"Sign in to {provider.display_name}", {"confirm_company_change": _CHANGE}, [])


def _credentials(provider: Provider) -> dict[str, Any]:
    company = {
        "type": "string",
        "title": "Company id",
        "description": f"Not needed where {provider.oauth.env_prefix}_COMPANY_ID is set.",
        "minLength": 1,
        "maxLength": 200,
    }
    properties = {
        "client_id": {"type": "string", "title": "Client id", "minLength": 1, "maxLength": 500},
        "client_secret": {
            "type": "string",
            "title": "Client secret",
            "format": "password",
            "writeOnly": True,
            "minLength": 1,
            "maxLength": 4000,
        },
        "company_id": company,
        "confirm_company_change": _CHANGE,
    }
    return _form(
        f"Connect {provider.display_name} as an app", properties, ["client_id", "client_secret"]
    )


def _form(title: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


_FORMS = {"authorization_code": _consent, "client_credentials": _credentials}
