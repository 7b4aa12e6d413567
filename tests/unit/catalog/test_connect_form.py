"""The connect forms follow the metadata, and say what the routes accept."""

from __future__ import annotations

from dataclasses import replace

from jsonschema import Draft202012Validator

from bridge_api.models.connections import ConnectStart, Credentials
from integrations_hub.catalog.connect_form import connect_forms
from tests.kit.acme import acme


def forms(*flows: str):
    provider = acme()
    return connect_forms(replace(provider, oauth=replace(provider.oauth, flows=flows)))


def test_only_listed_flows_have_a_form():
    assert list(forms("authorization_code")) == ["authorization_code"]
    assert list(forms("client_credentials")) == ["client_credentials"]


def test_the_forms_are_schemas_with_the_members_of_the_bodies():
    made = forms("authorization_code", "client_credentials")
    for flow, body in (("authorization_code", ConnectStart), ("client_credentials", Credentials)):
        Draft202012Validator.check_schema(made[flow])
        assert set(made[flow]["properties"]) == set(body.model_fields)
        needed = {name for name, field in body.model_fields.items() if field.is_required()}
        assert set(made[flow]["required"]) == needed


def test_a_secret_is_written_only_and_the_setting_is_named():
    properties = forms("client_credentials")["client_credentials"]["properties"]
    assert (properties["client_secret"]["writeOnly"], properties["client_secret"]["format"]) == (
        True,
        "password",
    )
    assert "ACME_COMPANY_ID" in properties["company_id"]["description"]
