from pathlib import Path

import pytest

from tests.kit.provider_json import Change, entry, errors_after, field, widgets

PROJECTS = "/objects/widgets"

# (name, change, [(pointer, text that must stand after it), ...]): the complete list of errors
MUTANTS: list[tuple[str, Change, list[tuple[str, str]]]] = [
    ("no_key", lambda r: r.pop("key"), [("/key", "expected a value; got nothing")]),
    (
        "display_name_misspelt",
        lambda r: r.update(displayname=r.pop("displayName")),
        [("/displayName", 'expected a value; got nothing ("displayname" is there)')],
    ),
    (
        "header_without_label",
        lambda r: r["requiredHeaders"].append({"key": "X-Company", "source": "connection"}),
        [("/requiredHeaders/0/label", "expected a value; got nothing")],
    ),
    (
        "header_of_environment_without_name",
        lambda r: r["requiredHeaders"].append({"key": "X-A", "label": "A", "source": "env"}),
        [
            (
                "/requiredHeaders/0/envKey",
                "expected a variable name, because source is env; got nothing",
            )
        ],
    ),
    (
        "header_twice",
        lambda r: r["requiredHeaders"].extend(
            {"key": key, "label": "A", "source": "connection"} for key in ("X-A", "x-a")
        ),
        [("/requiredHeaders/1/key", 'expected each header once; got "x-a"')],
    ),
    (
        "unknown_flow",
        lambda r: r["oauth"].update(flows=["authorization_cod"]),
        [
            (
                "/oauth/flows/0",
                'expected one of "authorization_code", "client_credentials"; got "authorization_cod" '
                '(did you mean "authorization_code"?)',
            )
        ],
    ),
    (
        "flow_twice",
        lambda r: r["oauth"]["flows"].append("authorization_code"),
        [("/oauth/flows", "expected no two equal items; got a list of 2")],
    ),
    (
        "no_flow",
        lambda r: r["oauth"].update(flows=[]),
        [("/oauth/flows", "expected at least 1 items; got a list of 0")],
    ),
    (
        "code_flow_without_authorize_path",
        lambda r: r["oauth"].pop("authorizePath"),
        [
            (
                "/oauth/authorizePath",
                "expected a path, because flows lists authorization_code; got nothing",
            )
        ],
    ),
    (
        "pkce_without_code_flow",
        lambda r: r["oauth"].update(flows=["client_credentials"]),
        [("/oauth/pkce", 'expected null without the flow authorization_code; got "S256"')],
    ),
    (
        "plain_pkce",
        lambda r: r["oauth"].update(pkce="plain"),
        [("/oauth/pkce", 'expected "S256" or null; got "plain"')],
    ),
    (
        "plain_http",
        lambda r: r["oauth"].update(authBaseUrl="http://id.acme.example/idp"),
        [("/oauth/authBaseUrl", "expected https (plain http is for loopback only); got")],
    ),
    (
        "base_url_with_user",
        lambda r: r["baseUrlVariants"]["production"].update(url="https://a@api.acme.example/v1"),
        [("/baseUrlVariants/production/url", "expected an https address without user")],
    ),
    (
        "base_url_on_another_host",
        lambda r: r["baseUrlVariants"]["production"].update(url="https://acme.example.evil.test"),
        [
            (
                "/baseUrlVariants/production/url",
                "expected a host that /oauth/allowedHosts lists (id.acme.example, *.api.acme.example); "
                'got "acme.example.evil.test"',
            )
        ],
    ),
    (
        "base_url_on_an_odd_port",
        lambda r: r["baseUrlVariants"]["production"].update(
            url="https://eu.api.acme.example:8443/v1"
        ),
        [("/baseUrlVariants/production/url", "expected a host that /oauth/allowedHosts lists")],
    ),
    (
        "base_url_with_unreadable_port",
        lambda r: r["oauth"].update(authBaseUrl="https://id.acme.example:99999/idp"),
        [("/oauth/authBaseUrl", "expected an address that can be read; got")],
    ),
    (
        "no_variant",
        lambda r: r.update(baseUrlVariants={}),
        [("/baseUrlVariants", "expected at least 1 members; got an object with 0 members")],
    ),
    (
        "limit_as_text",
        lambda r: r["rateLimits"].update(requestsPerMinute="80"),
        [("/rateLimits/requestsPerMinute", 'expected a whole number; got "80"')],
    ),
    (
        "limit_zero",
        lambda r: r["rateLimits"].update(burst=0),
        [("/rateLimits/burst", "expected at least 1; got 0")],
    ),
    (
        "boolean_as_number",
        lambda r: r["oauth"].update(refreshRotates=1),
        [("/oauth/refreshRotates", "expected true or false; got 1")],
    ),
    (
        "page_larger_than_the_limit",
        lambda r: r["paging"].update(size=500, maxSize=100),
        [("/paging/size", "expected at most maxSize (100); got 500")],
    ),
    (
        "unknown_paging",
        lambda r: r["paging"].update(style="offset"),
        [("/paging/style", 'expected "page_comma_size"; got "offset"')],
    ),
    (
        "datetime_format_without_seconds",
        lambda r: r["http"].update(datetimeFormat="%Y-%m-%dT%H:%M"),
        [("/http/datetimeFormat", "expected a format with %Y %m %d %H %M %S in this order")],
    ),
    (
        "bad_pattern",
        lambda r: r["errors"][0].update(messagePattern="(unclosed"),
        [("/errors/0/messagePattern", "expected a regular expression (")],
    ),
    (
        "unknown_kind",
        lambda r: r["errors"][0].update(kind="fatal"),
        [("/errors/0/kind", 'expected one of "configuration", "authorization"')],
    ),
    (
        "rule_behind_a_catch_all",
        lambda r: r["errors"].append({**r["errors"][-1], "keyPattern": "X"}),
        [("/errors/2", "expected a place before /errors/1, which matches every 429; got")],
    ),
    (
        "unknown_evidence_mark",
        lambda r: r["paging"]["evidence"].update(size="sure"),
        [
            (
                "/paging/evidence/size",
                'expected one of "documented", "observed", "reported", "inferred"',
            )
        ],
    ),
    (
        "evidence_for_nothing",
        lambda r: r["rateLimits"]["evidence"].update(burts="guess"),
        [("/rateLimits/evidence/burts", '(did you mean "burst"?)')],
    ),
    (
        "unknown_field_type",
        lambda r: field(r, "title").update(type="txt"),
        [(f"{PROJECTS}/fields/1/type", 'got "txt" (did you mean "text"?)')],
    ),
    (
        "field_twice",
        lambda r: widgets(r)["fields"].append(field(r, "title")),
        [
            (
                f"{PROJECTS}/fields/7/key",
                'each field once (see /objects/widgets/fields/1); got "title"',
            )
        ],
    ),
    (
        "field_name_with_sql",
        lambda r: field(r, "note").update(key='note"; DROP'),
        [
            (f"{PROJECTS}/defaultMapping/3/source", 'expected a field of this object: one of "id"'),
            (f"{PROJECTS}/fields/6/key", "expected a field name of letters, digits and _"),
        ],
    ),
    (
        "no_identity",
        lambda r: field(r, "id").pop("identity"),
        [(f"{PROJECTS}/fields", "expected exactly one field with identity true; got none")],
    ),
    (
        "two_identities",
        lambda r: field(r, "title").update(identity=True, nullable=False),
        [(f"{PROJECTS}/fields", "expected exactly one field with identity true; got id, title")],
    ),
    (
        "nullable_identity",
        lambda r: field(r, "id").pop("nullable"),
        [(f"{PROJECTS}/fields/0/nullable", "expected false for the identity field; got true")],
    ),
    (
        "enum_without_labels",
        lambda r: field(r, "state").pop("enum"),
        [
            (
                f"{PROJECTS}/fields/3/enum",
                "labels by code, because state is of type enum; got nothing",
            )
        ],
    ),
    (
        "labels_without_enum",
        lambda r: field(r, "state").update(type="integer"),
        [(f"{PROJECTS}/fields/3/type", 'expected "enum" beside enum labels; got "integer"')],
    ),
    (
        "cursor_unknown",
        lambda r: widgets(r)["cursor"].update(field="changedOn"),
        [(f"{PROJECTS}/cursor/field", 'expected a field of this object: one of "id"')],
    ),
    (
        "cursor_not_filterable",
        lambda r: field(r, "changed").pop("filterable"),
        [(f"{PROJECTS}/cursor/field", 'expected a field that is filterable; got "changed"')],
    ),
    (
        "cursor_of_another_type",
        lambda r: field(r, "changed").update(type="day"),
        [
            (
                f"{PROJECTS}/cursor/field",
                'expected a field of type datetime; got "changed" of type day',
            )
        ],
    ),
    (
        "order_not_sortable",
        lambda r: field(r, "id").pop("sortable"),
        [(f"{PROJECTS}/list/order", 'expected a field that is sortable; got "id"')],
    ),
    (
        "parent_unknown",
        lambda r: widgets(r)["hierarchy"].update(parentKey="parnt"),
        [(f"{PROJECTS}/hierarchy/parentKey", '(did you mean "parent"?)')],
    ),
    (
        "parent_filter_without_hierarchy",
        lambda r: widgets(r).pop("hierarchy"),
        [
            (
                f"{PROJECTS}/hierarchy",
                "expected a hierarchy, because filters has parentOnly; got nothing",
            )
        ],
    ),
    (
        "denied_field_requestable",
        lambda r: widgets(r)["denyFields"].append("note"),
        [
            (
                f"{PROJECTS}/defaultMapping/3/source",
                "expected a field that denyFields does not list",
            ),
            (
                f"{PROJECTS}/fields/6/requestable",
                "expected false, because denyFields lists the field",
            ),
        ],
    ),
    (
        "denied_field_mapped",
        lambda r: entry(r, "name").update(source="secret"),
        [
            (
                f"{PROJECTS}/defaultMapping/0/source",
                'a field that denyFields does not list; got "secret"',
            )
        ],
    ),
    (
        "mapping_of_unknown_field",
        lambda r: entry(r, "name").update(source="titel"),
        [(f"{PROJECTS}/defaultMapping/0/source", 'got "titel" (did you mean "title"?)')],
    ),
    (
        "mapping_of_unrequestable_field",
        lambda r: field(r, "title").update(requestable=False),
        [(f"{PROJECTS}/defaultMapping/0/source", '"title", which is not requestable')],
    ),
    (
        "mapping_to_unknown_column",
        lambda r: entry(r, "notes").update(target="note"),
        [(f"{PROJECTS}/defaultMapping/3/target", '(did you mean "notes"?)')],
    ),
    (
        "column_mapped_twice",
        lambda r: entry(r, "notes").update(target="name"),
        [(f"{PROJECTS}/defaultMapping/3/target", 'expected each column once; got "name"')],
    ),
    (
        "day_from_text",
        lambda r: entry(r, "start_date").update(source="title"),
        [
            (
                f"{PROJECTS}/defaultMapping/2/source",
                "type day or datetime for start_date; got type text",
            )
        ],
    ),
    (
        "status_without_values",
        lambda r: entry(r, "status").pop("values"),
        [
            (
                f"{PROJECTS}/defaultMapping/1/values",
                "expected local values by code for status; got nothing",
            )
        ],
    ),
    (
        "value_of_unknown_code",
        lambda r: entry(r, "status")["values"].update({"9": "active"}),
        [(f"{PROJECTS}/defaultMapping/1/values/9", "expected a known code of state")],
    ),
    (
        "unknown_entity",
        lambda r: widgets(r).update(localEntity="projects"),
        [(f"{PROJECTS}/localEntity", '(did you mean "project"?)')],
    ),
    (
        "hash_of_unknown_field",
        lambda r: widgets(r).update(hashExclude=["chnged"]),
        [(f"{PROJECTS}/hashExclude/0", '(did you mean "changed"?)')],
    ),
    (
        "path_with_query",
        lambda r: widgets(r).update(path="/widget?all=1"),
        [(f"{PROJECTS}/path", "expected a path such as /project; got")],
    ),
    (
        "path_that_climbs",
        lambda r: widgets(r).update(path="/widget/../admin"),
        [(f"{PROJECTS}/path", "expected a path such as /project; got")],
    ),
    (
        "default_that_is_no_option",
        lambda r: widgets(r).update(ruleDefaults={"sync_mode": "full"}),
        [(f"{PROJECTS}/ruleDefaults/sync_mode", '(did you mean "syncMode"?)')],
    ),
    (
        "default_cron_with_four_fields",
        lambda r: widgets(r).update(ruleDefaults={"schedule": {"cron": "0 6 * *"}}),
        [(f"{PROJECTS}/ruleDefaults/schedule/cron", "it has 4 fields, expected 5")],
    ),
    (
        "reserved_object_key",
        lambda r: r["objects"].update(rules=r["objects"].pop("widgets")),
        [("/objects/rules", "no reserved word of the Hub's paths")],
    ),
    (
        "newer_major_version",
        lambda r: r.update(providerSchemaVersion="2.0"),
        [("/providerSchemaVersion", 'expected "1.<minor>" (this Hub reads version 1); got "2.0"')],
    ),
    (
        "line_break_in_a_name",
        lambda r: widgets(r).update(path="/widget\n"),
        [(f"{PROJECTS}/path", "expected a text without control characters")],
    ),
    (
        "line_break_in_a_key",
        lambda r: r.update({"x\n": 1}),
        [("/", "expected names without control characters")],
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS]
)
def test_mutant_is_refused_with_pointer_and_reason(
    tmp_path: Path, change: Change, expected: list[tuple[str, str]]
) -> None:
    lines = errors_after(tmp_path, change)
    assert len(lines) == len(expected), lines
    for line, (pointer, text) in zip(lines, expected, strict=True):
        assert line.startswith(f"acme/provider.json#{pointer}: expected "), line
        assert text in line
        assert "; got " in line
