"""The facts of providers/bqe/provider.json that the rest relies on."""

from pathlib import Path
from typing import Any

import pytest

import providers
from integrations_hub.catalog import rule_form
from integrations_hub.catalog.loader import load_provider
from integrations_hub.catalog.metadata import ObjectMeta, Provider
from integrations_hub.domain.local_entity import PROJECT

MARKS = {"documented", "observed", "reported", "inferred", "guess"}


@pytest.fixture(scope="module")
def bqe() -> Provider:
    return load_provider(Path(providers.__path__[0]) / "bqe" / "provider.json")


@pytest.fixture(scope="module")
def projects(bqe: Provider) -> ObjectMeta:
    return bqe.objects["projects"]


def test_only_projects_are_declared(bqe: Provider) -> None:
    assert list(bqe.objects) == ["projects"]


def test_authorization_is_the_code_flow_with_pkce_only(bqe: Provider) -> None:
    assert (bqe.oauth.flows, bqe.oauth.pkce) == (("authorization_code",), "S256")
    assert bqe.raw["oauth"]["evidence"]["flows"] == "inferred"
    assert bqe.oauth.scopes == ("read:core", "offline_access", "openid")
    assert (bqe.oauth.endpoint_from_token, bqe.oauth.company_claim) == ("endpoint", "companyId")
    assert bqe.oauth.refresh_rotates


def test_hosts_are_pinned_exactly(bqe: Provider) -> None:
    assert bqe.oauth.allowed_hosts == ("api-identity.bqecore.com", "api.bqecore.com")


def test_plan_stays_below_the_reported_quota(bqe: Provider) -> None:
    limits = bqe.rate_limits
    assert limits.requests_per_minute + limits.burst <= 100
    assert limits.global_requests_per_minute + limits.burst <= 100


def test_no_request_asks_for_what_is_denied(projects: ObjectMeta) -> None:
    assert set(projects.deny_fields) == {"hasChild", "token"}
    assert not any(projects.fields[name].requestable for name in projects.deny_fields)


def test_default_mapping_fills_the_projects_table(projects: ObjectMeta) -> None:
    pairs = [(entry.source, entry.target) for entry in projects.mapping.entries]
    assert pairs == [
        ("name", "name"),
        ("code", "project_number"),
        ("client", "client"),
        ("client", "bqe_client_name"),
        ("clientId", "bqe_client_id"),
        ("status", "status"),
        ("startDate", "start_date"),
        ("dueDate", "end_date"),
        ("manager", "lead"),
        ("memo", "notes"),
    ]
    assert {target for _, target in pairs} == set(PROJECT.column_names)
    assert [entry.target for entry in projects.mapping.entries if entry.required] == ["name"]


def test_disputed_status_codes_are_not_mapped(projects: ObjectMeta) -> None:
    status = next(entry for entry in projects.mapping.entries if entry.target == "status")
    assert (status.values, status.unknown) == ({"0": "active", "2": "completed"}, "keep_local")
    assert projects.fields["status"].enum == {"0": "Active", "2": "Completed"}


def test_hierarchy_never_uses_type_or_has_child(projects: ObjectMeta) -> None:
    assert projects.hierarchy is not None
    assert projects.hierarchy.parent_key == "parentId"
    assert projects.hierarchy.empty_parents == ("", "00000000-0000-0000-0000-000000000000")
    assert projects.include_subprojects_locked


def test_server_filter_is_not_called_verified(projects: ObjectMeta) -> None:
    assert projects.parent_only is not None
    assert (projects.parent_only.query, projects.parent_only.verified) == (
        "parentId is null",
        False,
    )


def test_days_are_no_instants(projects: ObjectMeta) -> None:
    assert [projects.fields[name].type for name in ("startDate", "dueDate")] == ["day", "day"]
    assert [projects.fields[name].type for name in ("createdOn", "lastUpdated")] == [
        "datetime",
        "datetime",
    ]


def test_wrong_names_of_older_plans_are_absent(projects: ObjectMeta) -> None:
    wrong = {
        "number",
        "clientName",
        "endDate",
        "isActive",
        "archived",
        "projectManager",
        "isDeleted",
    }
    assert not wrong & set(projects.fields)


def test_names_of_people_are_marked_as_personal(projects: ObjectMeta) -> None:
    people = (
        "client",
        "manager",
        "principal",
        "originator",
        "billingContact",
        "memo",
        "messageOnInvoice",
    )
    assert all(projects.fields[name].pii for name in people)


@pytest.mark.parametrize(
    ("status", "key", "message", "kind"),
    [
        (207, "", "", "contract"),
        (400, "", "Invalid field in 'where' parameter. Field name: x", "configuration"),
        (401, "", "", "authorization"),
        (401, "", "You are not subscribed to this module.", "subscription"),
        (403, "", "Not Subscribed", "subscription"),
        (403, "", "insufficient_scope", "authorization"),
        (403, "", "", "permission"),
        (409, "MsgPermissions", "You do not have the security permissions.", "permission"),
        (409, "SEC_Module", "", "permission"),
        (409, "", "Blocked by SEC_Module.", "permission"),
        (409, "", "invalid where clause. Expected", "configuration"),
        (409, "InValidModel", "", "contract"),
        (424, "APISqlError", "", "configuration"),
        (424, "", "", "configuration"),
        (429, "", "API calls quota exceeded!", "quota"),
        (503, "", "", "transient"),
    ],
)
def test_answers_are_classified_by_status_key_and_message(
    bqe: Provider, status: int, key: str, message: str, kind: str
) -> None:
    import re

    def fits(pattern: str | None, text: str) -> bool:
        return pattern is None or re.search(pattern, text) is not None

    first = next(
        rule
        for rule in bqe.errors
        if rule.status == status
        and fits(rule.key_pattern, key)
        and fits(rule.message_pattern, message)
    )
    assert first.kind == kind


def test_every_fact_carries_an_evidence_mark(bqe: Provider) -> None:
    our_choice = {"evidence", "envPrefix"}
    for group in ("oauth", "rateLimits", "paging", "http"):
        facts: dict[str, Any] = bqe.raw[group]
        assert set(facts) - our_choice == set(facts["evidence"]), group
    marked = [
        *bqe.raw["errors"],
        *bqe.raw["baseUrlVariants"].values(),
        *bqe.raw["objects"]["projects"]["fields"],
    ]
    assert all(item["evidence"] in MARKS for item in marked)
    about = set(bqe.raw["objects"]["projects"]["evidence"])
    assert {
        "path",
        "itemPath",
        "capabilities",
        "list",
        "cursor",
        "hierarchy",
        "filters",
        "defaultMapping",
    } <= about


def test_rule_form_of_projects_offers_every_option(projects: ObjectMeta) -> None:
    form = rule_form.schema(projects)["properties"]
    assert set(form) == set(rule_form.validate(projects, {}))
    assert {"filters", "fieldPolicies", "clientSyncPolicy", "initialSyncSince"} <= set(form)
    names = form["filters"]["items"]["properties"]["field"]["enum"]
    assert set(names) == {"name", "code", "contractType", "status"}
    assert form["includeSubprojects"]["const"] is False
