import copy
import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from integrations_hub.catalog.loader import MAX_BYTES, load_folders, load_provider
from integrations_hub.errors import MetadataInvalid, NotFound
from tests.kit.provider_json import ACME, written

Change = Callable[[dict[str, Any]], object]
PROJECTS = "/objects/widgets"


def _errors(tmp_path: Path, change: Change, folder: str = "acme") -> list[str]:
    raw = copy.deepcopy(ACME)
    change(raw)
    with pytest.raises(MetadataInvalid) as caught:
        load_provider(written(tmp_path, raw, folder))
    head, *lines = caught.value.message.splitlines()
    assert head.endswith(("error:", "errors:"))
    return [line.strip() for line in lines]


def _widgets(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["objects"]["widgets"]


def _field(raw: dict[str, Any], key: str) -> dict[str, Any]:
    return next(field for field in _widgets(raw)["fields"] if field["key"] == key)


def _entry(raw: dict[str, Any], target: str) -> dict[str, Any]:
    return next(entry for entry in _widgets(raw)["defaultMapping"] if entry["target"] == target)


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
        lambda r: _field(r, "title").update(type="txt"),
        [(f"{PROJECTS}/fields/1/type", 'got "txt" (did you mean "text"?)')],
    ),
    (
        "field_twice",
        lambda r: _widgets(r)["fields"].append(_field(r, "title")),
        [
            (
                f"{PROJECTS}/fields/7/key",
                'each field once (see /objects/widgets/fields/1); got "title"',
            )
        ],
    ),
    (
        "field_name_with_sql",
        lambda r: _field(r, "note").update(key='note"; DROP'),
        [
            (f"{PROJECTS}/defaultMapping/3/source", 'expected a field of this object: one of "id"'),
            (f"{PROJECTS}/fields/6/key", "expected a field name of letters, digits and _"),
        ],
    ),
    (
        "no_identity",
        lambda r: _field(r, "id").pop("identity"),
        [(f"{PROJECTS}/fields", "expected exactly one field with identity true; got none")],
    ),
    (
        "two_identities",
        lambda r: _field(r, "title").update(identity=True, nullable=False),
        [(f"{PROJECTS}/fields", "expected exactly one field with identity true; got id, title")],
    ),
    (
        "nullable_identity",
        lambda r: _field(r, "id").pop("nullable"),
        [(f"{PROJECTS}/fields/0/nullable", "expected false for the identity field; got true")],
    ),
    (
        "enum_without_labels",
        lambda r: _field(r, "state").pop("enum"),
        [
            (
                f"{PROJECTS}/fields/3/enum",
                "labels by code, because state is of type enum; got nothing",
            )
        ],
    ),
    (
        "labels_without_enum",
        lambda r: _field(r, "state").update(type="integer"),
        [(f"{PROJECTS}/fields/3/type", 'expected "enum" beside enum labels; got "integer"')],
    ),
    (
        "cursor_unknown",
        lambda r: _widgets(r)["cursor"].update(field="changedOn"),
        [(f"{PROJECTS}/cursor/field", 'expected a field of this object: one of "id"')],
    ),
    (
        "cursor_not_filterable",
        lambda r: _field(r, "changed").pop("filterable"),
        [(f"{PROJECTS}/cursor/field", 'expected a field that is filterable; got "changed"')],
    ),
    (
        "cursor_of_another_type",
        lambda r: _field(r, "changed").update(type="day"),
        [
            (
                f"{PROJECTS}/cursor/field",
                'expected a field of type datetime; got "changed" of type day',
            )
        ],
    ),
    (
        "order_not_sortable",
        lambda r: _field(r, "id").pop("sortable"),
        [(f"{PROJECTS}/list/order", 'expected a field that is sortable; got "id"')],
    ),
    (
        "parent_unknown",
        lambda r: _widgets(r)["hierarchy"].update(parentKey="parnt"),
        [(f"{PROJECTS}/hierarchy/parentKey", '(did you mean "parent"?)')],
    ),
    (
        "parent_filter_without_hierarchy",
        lambda r: _widgets(r).pop("hierarchy"),
        [
            (
                f"{PROJECTS}/hierarchy",
                "expected a hierarchy, because filters has parentOnly; got nothing",
            )
        ],
    ),
    (
        "denied_field_requestable",
        lambda r: _widgets(r)["denyFields"].append("note"),
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
        lambda r: _entry(r, "name").update(source="secret"),
        [
            (
                f"{PROJECTS}/defaultMapping/0/source",
                'a field that denyFields does not list; got "secret"',
            )
        ],
    ),
    (
        "mapping_of_unknown_field",
        lambda r: _entry(r, "name").update(source="titel"),
        [(f"{PROJECTS}/defaultMapping/0/source", 'got "titel" (did you mean "title"?)')],
    ),
    (
        "mapping_of_unrequestable_field",
        lambda r: _field(r, "title").update(requestable=False),
        [(f"{PROJECTS}/defaultMapping/0/source", '"title", which is not requestable')],
    ),
    (
        "mapping_to_unknown_column",
        lambda r: _entry(r, "notes").update(target="note"),
        [(f"{PROJECTS}/defaultMapping/3/target", '(did you mean "notes"?)')],
    ),
    (
        "column_mapped_twice",
        lambda r: _entry(r, "notes").update(target="name"),
        [(f"{PROJECTS}/defaultMapping/3/target", 'expected each column once; got "name"')],
    ),
    (
        "day_from_text",
        lambda r: _entry(r, "start_date").update(source="title"),
        [
            (
                f"{PROJECTS}/defaultMapping/2/source",
                "type day or datetime for start_date; got type text",
            )
        ],
    ),
    (
        "status_without_values",
        lambda r: _entry(r, "status").pop("values"),
        [
            (
                f"{PROJECTS}/defaultMapping/1/values",
                "expected local values by code for status; got nothing",
            )
        ],
    ),
    (
        "value_of_unknown_code",
        lambda r: _entry(r, "status")["values"].update({"9": "active"}),
        [(f"{PROJECTS}/defaultMapping/1/values/9", "expected a known code of state")],
    ),
    (
        "unknown_entity",
        lambda r: _widgets(r).update(localEntity="projects"),
        [(f"{PROJECTS}/localEntity", '(did you mean "project"?)')],
    ),
    (
        "hash_of_unknown_field",
        lambda r: _widgets(r).update(hashExclude=["chnged"]),
        [(f"{PROJECTS}/hashExclude/0", '(did you mean "changed"?)')],
    ),
    (
        "path_with_query",
        lambda r: _widgets(r).update(path="/widget?all=1"),
        [(f"{PROJECTS}/path", "expected a path such as /project; got")],
    ),
    (
        "path_that_climbs",
        lambda r: _widgets(r).update(path="/widget/../admin"),
        [(f"{PROJECTS}/path", "expected a path such as /project; got")],
    ),
    (
        "default_that_is_no_option",
        lambda r: _widgets(r).update(ruleDefaults={"sync_mode": "full"}),
        [(f"{PROJECTS}/ruleDefaults/sync_mode", '(did you mean "syncMode"?)')],
    ),
    (
        "default_cron_with_four_fields",
        lambda r: _widgets(r).update(ruleDefaults={"schedule": {"cron": "0 6 * *"}}),
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
        lambda r: _widgets(r).update(path="/widget\n"),
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
    lines = _errors(tmp_path, change)
    assert len(lines) == len(expected), lines
    for line, (pointer, text) in zip(lines, expected, strict=True):
        assert line.startswith(f"acme/provider.json#{pointer}: expected "), line
        assert text in line
        assert "; got " in line


def test_valid_document_has_no_error(tmp_path: Path) -> None:
    assert load_provider(written(tmp_path, ACME)).key == "acme"


def test_errors_of_schema_and_meaning_come_all_at_once(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["paging"]["size"] = "many"
        raw["oauth"]["authBaseUrl"] = "http://id.acme.example/idp"
        _field(raw, "note")["type"] = "strng"
        _entry(raw, "name")["source"] = "nme"
        _entry(raw, "notes")["target"] = 7

    pointers = [re.findall(r"#(\S+):", line)[0] for line in _errors(tmp_path, change)]
    assert pointers == [
        "/oauth/authBaseUrl",
        "/objects/widgets/defaultMapping/0/source",
        "/objects/widgets/defaultMapping/3/target",
        "/objects/widgets/fields/6/type",
        "/paging/size",
    ]


@pytest.mark.parametrize(
    "raw", [[], "text", 5, None, {}, {"objects": []}, {"objects": {"a": 1}, "oauth": 1}]
)
def test_document_of_another_shape_is_refused_readably(tmp_path: Path, raw: Any) -> None:
    with pytest.raises(MetadataInvalid, match=re.escape("acme/provider.json#/")):
        load_provider(written(tmp_path, raw))


def _member_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        path,
        *(found for key, member in items for found in _member_paths(member, (*path, key))),
    ]


@pytest.mark.parametrize("shift", [0, 1])
def test_no_wrong_value_anywhere_crashes_the_loader(tmp_path: Path, shift: int) -> None:
    wrong: list[Any] = [None, [], {}, "x", -1]
    for n, path in enumerate(_member_paths(ACME)[1:]):
        raw = copy.deepcopy(ACME)
        parent: Any = raw
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = wrong[(n + shift) % len(wrong)]
        # some wrong values are allowed where they stand; whatever is refused is refused readably
        with suppress(MetadataInvalid):
            load_provider(written(tmp_path, raw))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is not JSON: line 1, column 1"),
        (b'{\n "key" "acme"\n}', "is not JSON: line 2, column 8"),
        (b'{"key": NaN}', "is not JSON in UTF-8: NaN is no JSON number"),
        (b'{"key": "\xff"}', "is not JSON in UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b" " * (MAX_BYTES + 1), f"has {MAX_BYTES + 1} bytes; expected at most {MAX_BYTES}"),
    ],
    ids=["empty", "no_colon", "nan", "bytes", "deep", "huge"],
)
def test_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = written(tmp_path, {})
    path.write_bytes(content)
    with pytest.raises(MetadataInvalid, match=re.escape(text)):
        load_provider(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetadataInvalid, match="cannot be read: No such file"):
        load_provider(tmp_path / "acme" / "provider.json")


def test_member_written_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ACME)
    path.write_text(path.read_text().replace('"burst":', '"burst": 9, "burst":', 1))
    with pytest.raises(MetadataInvalid, match="#/rateLimits/burst: expected each member once"):
        load_provider(path)


def test_key_differs_from_folder(tmp_path: Path) -> None:
    lines = _errors(tmp_path, lambda raw: None, folder="acne")
    assert lines == ['acne/provider.json#/key: expected "acne", the name of its folder; got "acme"']


@pytest.mark.parametrize(
    "word", ["projects", "jobs", "health", "capabilities", "connect", "callback", "providers"]
)
def test_reserved_word_is_no_provider_key(tmp_path: Path, word: str) -> None:
    lines = _errors(tmp_path, lambda raw: raw.update(key=word), folder=word)
    assert lines == [
        f'{word}/provider.json#/key: expected a key that is no reserved word of the Hub\'s paths; got "{word}"'
    ]


def test_projects_may_be_an_object_key(tmp_path: Path) -> None:
    raw = copy.deepcopy(ACME)
    raw["objects"] = {"projects": raw["objects"]["widgets"]}
    assert list(load_provider(written(tmp_path, raw)).objects) == ["projects"]


def test_loopback_may_be_plain_http(tmp_path: Path) -> None:
    raw = copy.deepcopy(ACME)
    raw["oauth"].update(
        authBaseUrl="http://127.0.0.1:8081/idp", allowedHosts=["127.0.0.1", "*.api.acme.example"]
    )
    assert load_provider(written(tmp_path, raw)).oauth.auth_base_url == "http://127.0.0.1:8081/idp"


def test_unknown_members_are_kept_and_logged_once(tmp_path: Path) -> None:
    raw = copy.deepcopy(ACME)
    raw["colour"] = "green"
    raw["objects"]["widgets"]["fields"][1]["example"] = "A-1"
    lines: list[str] = []
    logger = logging.getLogger("integrations_hub.catalog.loader")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(f"{record.levelname} {record.getMessage()}")  # type: ignore[method-assign]
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        provider = load_provider(written(tmp_path, raw))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert provider.raw == raw
    assert lines == [
        "INFO provider_members_ignored file=acme/provider.json pointers=/colour,/objects/widgets/fields/1/example"
    ]


def test_checksum_follows_content_not_layout(tmp_path: Path) -> None:
    first = load_provider(written(tmp_path, ACME)).checksum
    path = written(tmp_path, ACME)
    path.write_text(json.dumps(dict(reversed(ACME.items())), indent=3))
    assert load_provider(path).checksum == first
    assert load_provider(written(tmp_path, {**ACME, "displayName": "Acme 2"})).checksum != first


def test_folder_reports_the_errors_of_every_file(tmp_path: Path) -> None:
    written(tmp_path, {**ACME, "displayName": ""})
    written(tmp_path, {**ACME, "key": "other", "errors": []}, "other")
    written(tmp_path, {**ACME, "key": "fine"}, "fine")
    with pytest.raises(MetadataInvalid) as caught:
        load_folders([tmp_path])
    assert "acme/provider.json#/displayName" in caught.value.message
    assert "other/provider.json#/errors" in caught.value.message
    assert "fine" not in caught.value.message


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MetadataInvalid, match="No provider was found") as caught:
        load_folders([tmp_path])
    assert caught.value.code == "NO_PROVIDERS"


def test_registry_finds_what_the_folder_holds(tmp_path: Path) -> None:
    written(tmp_path, ACME)
    written(tmp_path, {**ACME, "key": "zeta"}, "zeta")
    registry = load_folders([tmp_path])
    assert [provider.key for provider in registry.list_providers()] == ["acme", "zeta"]
    assert registry.get_provider("zeta").display_name == "Acme"
    assert registry.get_object_catalog("acme", "widgets").label == "Widgets"


def test_registry_names_what_it_knows(tmp_path: Path) -> None:
    written(tmp_path, ACME)
    registry = load_folders([tmp_path])
    with pytest.raises(
        NotFound, match=r"no provider 'acm'; known: acme\. Did you mean 'acme'\?"
    ) as caught:
        registry.get_provider("acm")
    assert caught.value.code == "PROVIDER_UNKNOWN"
    with pytest.raises(NotFound, match=r"no object 'x' at Acme; known: widgets\."):
        registry.get_object_catalog("acme", "x")


def test_metadata_carries_every_declared_fact(tmp_path: Path) -> None:
    raw = copy.deepcopy(ACME)
    raw["requiredHeaders"] = [
        {"key": "X-Company", "label": "Company", "source": "env", "envKey": "ACME_COMPANY"}
    ]
    provider = load_provider(written(tmp_path, raw))
    header = provider.required_headers[0]
    assert (header.key, header.label, header.source, header.env_key) == (
        "X-Company",
        "Company",
        "env",
        "ACME_COMPANY",
    )
    assert (provider.oauth.flows, provider.oauth.pkce, provider.oauth.env_prefix) == (
        ("authorization_code",),
        "S256",
        "ACME",
    )
    assert provider.base_url_variants["production"].url == "https://eu.api.acme.example/v1"
    assert (provider.rate_limits.requests_per_minute, provider.rate_limits.max_concurrent) == (
        60,
        3,
    )
    assert (provider.paging.size, provider.paging.max_size, provider.paging.end) == (
        100,
        200,
        "204_or_short_page",
    )
    assert provider.http.test_request.query == {"page": "1,1"}
    assert [(rule.status, rule.key_pattern, rule.kind) for rule in provider.errors] == [
        (409, "^NoRight$", "permission"),
        (429, None, "quota"),
    ]
    widgets = provider.objects["widgets"]
    assert (widgets.identity_field, widgets.order_field, widgets.cursor_field) == (
        "id",
        "id",
        "changed",
    )
    assert (widgets.cursor_precision_s, widgets.overlap_s, widgets.mapping.version) == (1, 60, 4)
    assert widgets.hierarchy is not None
    assert widgets.hierarchy.empty_parents == ("", "0")
    assert widgets.parent_only is not None
    assert (widgets.parent_only.query, widgets.parent_only.verified) == ("parent is null", False)
    assert widgets.include_subprojects_locked
    assert widgets.deny_fields == ("secret",)
    state = widgets.fields["state"]
    assert (state.type, state.enum, state.nullable, state.requestable) == (
        "enum",
        {"0": "Open"},
        True,
        True,
    )
    status = widgets.mapping.entries[1]
    assert (status.source, status.target, status.values, status.unknown) == (
        "state",
        "status",
        {"0": "active"},
        "reject",
    )
