"""The catalogue as the Hub UI reads it."""

from __future__ import annotations

from integrations_hub.catalog import rule_form
from tests.kit.bridge import ADMIN, API, RULE, BridgeKit


def test_providers_and_their_setup(bridge: BridgeKit) -> None:
    (line,) = bridge.call("GET", "/api/integrations/providers").json()["items"]
    assert (line["key"], line["objects"], line["environments"][0]["key"]) == (
        "bqe",
        ["projects"],
        "production",
    )
    details = bridge.call("GET", API).json()
    assert (
        details["redirect_uri"] == "http://127.0.0.1:8080/hub/api/integrations/bqe/connect/callback"
    )
    assert details["missing_settings"] == []
    assert details["raw"]["key"] == "bqe"


def test_what_the_operator_must_set_is_named_and_never_shown(database_url: str) -> None:
    kit = BridgeKit(database_url, BQE_CLIENT_ID="")
    try:
        answer = kit.call("GET", API)
        assert answer.json()["missing_settings"] == ["BQE_CLIENT_ID"]
        assert "canary" not in answer.text
    finally:
        kit.close()


def test_the_catalog_is_sent_once(bridge: BridgeKit) -> None:
    first = bridge.call("GET", f"{API}/catalog")
    again = bridge.call(
        "GET", f"{API}/catalog", headers={**ADMIN, "If-None-Match": first.headers["etag"]}
    )
    other = bridge.call("GET", f"{API}/catalog", headers={**ADMIN, "If-None-Match": '"old"'})
    assert (first.status_code, again.status_code, again.content, other.status_code) == (
        200,
        304,
        b"",
        200,
    )
    (projects,) = first.json()["objects"]
    assert [one["key"] for one in projects["fields"] if one["identity"]] == ["id"]


def test_the_catalogs_rule_schema_is_what_a_rule_is_judged_by(bridge: BridgeKit) -> None:
    from integrations_hub import wiring

    (projects,) = bridge.call("GET", f"{API}/catalog").json()["objects"]
    obj = wiring.registry().get_object_catalog("bqe", "projects")
    assert projects["rule_schema"] == rule_form.schema(obj)
    assert set(RULE) <= set(projects["rule_schema"]["properties"])


def test_the_default_mapping_is_told_with_its_signature(bridge: BridgeKit) -> None:
    defaults = bridge.call("GET", f"{API}/projects/mapping/defaults").json()
    assert {line["target"] for line in defaults["lines"]} >= {"name"}
    assert len(defaults["field_signature"]) == 64
    assert bridge.call("GET", f"{API}/planets/mapping/defaults").status_code == 404


def test_an_unknown_provider_is_not_found_with_a_guess(bridge: BridgeKit) -> None:
    answer = bridge.call("GET", "/api/integrations/bqee")
    assert (answer.status_code, answer.json()["code"]) == (404, "PROVIDER_UNKNOWN")
    assert "Did you mean 'bqe'" in answer.json()["message"]
