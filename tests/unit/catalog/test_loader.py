import copy
import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from integrations_hub.catalog.loader import MAX_BYTES, load_folders, load_provider
from integrations_hub.errors import MetadataInvalid, NotFound
from tests.kit.provider_json import ACME, entry, errors_after, field, written


def test_valid_document_has_no_error(tmp_path: Path) -> None:
    assert load_provider(written(tmp_path, ACME)).key == "acme"


def test_errors_of_schema_and_meaning_come_all_at_once(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["paging"]["size"] = "many"
        raw["oauth"]["authBaseUrl"] = "http://id.acme.example/idp"
        field(raw, "note")["type"] = "strng"
        entry(raw, "name")["source"] = "nme"
        entry(raw, "notes")["target"] = 7

    pointers = [re.findall(r"#(\S+):", line)[0] for line in errors_after(tmp_path, change)]
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
    lines = errors_after(tmp_path, lambda raw: None, folder="acne")
    assert lines == ['acne/provider.json#/key: expected "acne", the name of its folder; got "acme"']


@pytest.mark.parametrize(
    "word", ["projects", "jobs", "health", "capabilities", "connect", "callback", "providers"]
)
def test_reserved_word_is_no_provider_key(tmp_path: Path, word: str) -> None:
    lines = errors_after(tmp_path, lambda raw: raw.update(key=word), folder=word)
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
