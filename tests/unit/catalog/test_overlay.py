"""An operator's overlay: a merge patch per provider, validated like the metadata itself."""

from __future__ import annotations

import json

import pytest

from integrations_hub.catalog.loader import load_folders
from integrations_hub.catalog.overlay import merged, read_overlay
from integrations_hub.errors import MetadataInvalid
from tests.kit.provider_json import ACME, written


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, {"b": {"c": {"d": None}}}, {"a": "foo", "b": {"c": {}}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ],
)
def test_a_patch_merges_as_the_standard_says(value, patch, expected):
    before = json.dumps(value)
    assert merged(value, patch) == expected
    assert json.dumps(value) == before


def test_the_merged_metadata_is_what_the_hub_knows_and_shows(tmp_path):
    written(tmp_path, ACME)
    plain = load_folders([tmp_path]).get_provider("acme")
    patch = {"acme": {"oauth": {"flows": ["authorization_code", "client_credentials"]}}}
    patched = load_folders([tmp_path], patch).get_provider("acme")
    assert patched.oauth.flows == ("authorization_code", "client_credentials")
    assert patched.raw["oauth"]["flows"] == list(patched.oauth.flows)
    assert patched.oauth.scopes == plain.oauth.scopes
    assert patched.checksum != plain.checksum


def test_a_broken_overlay_names_itself_and_the_pointer(tmp_path):
    written(tmp_path, ACME)
    with pytest.raises(MetadataInvalid, match=r"HUB_METADATA_OVERLAY has 1 error") as caught:
        load_folders([tmp_path], {"acme": {"oauth": {"flows": ["magic"]}}})
    assert "/oauth/flows/0" in caught.value.message
    with pytest.raises(MetadataInvalid, match="names the provider 'acmee'; known: acme"):
        load_folders([tmp_path], {"acmee": {}})


@pytest.mark.parametrize(
    "content", ["{broken", "[]", '"x"', '{"acme": []}', '{"acme": {"key": "other"}}']
)
def test_a_file_that_is_no_overlay_is_refused(tmp_path, content):
    path = tmp_path / "overlay.json"
    path.write_text(content)
    with pytest.raises(MetadataInvalid, match="HUB_METADATA_OVERLAY"):
        read_overlay(str(path))


def test_no_file_changes_nothing_and_a_missing_one_is_told(tmp_path):
    assert read_overlay("") == {}
    with pytest.raises(MetadataInvalid, match="cannot be read"):
        read_overlay(str(tmp_path / "none.json"))
