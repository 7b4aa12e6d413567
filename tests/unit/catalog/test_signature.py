import copy
from typing import Any

import pytest

from integrations_hub.catalog.build import object_of
from integrations_hub.catalog.signature import field_signature
from tests.kit.provider_json import ACME


def _signature(change: Any = lambda fields: None) -> str:
    raw = copy.deepcopy(ACME["objects"]["widgets"])
    change(raw["fields"])
    return field_signature(object_of("widgets", raw))


def test_signature_is_sha256_and_stays_the_same_between_versions() -> None:
    # a change of this value makes every saved mapping stale
    assert _signature() == "e0c76b6b6c73d77ee0811d74e2b0bbc13b7409bf3f62aec39c2dcb4745780f0e"


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.reverse(),
        lambda fields: fields[1].update(label="Name"),
        lambda fields: fields[1].update(pii=True, filterable=True, sortable=True),
        lambda fields: fields[3]["enum"].update({"1": "Shut"}),
        lambda fields: fields[1].update(evidence="documented"),
    ],
    ids=["order", "label", "flags", "enum", "evidence"],
)
def test_signature_ignores_what_no_mapping_depends_on(change: Any) -> None:
    assert _signature(change) == _signature()


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields[1].update(key="name"),
        lambda fields: fields[1].update(type="html"),
        lambda fields: fields[1].update(nullable=False),
        lambda fields: fields[1].update(identity=True),
        lambda fields: fields.pop(),
        lambda fields: fields.append(
            {"key": "new", "label": "New", "type": "text", "evidence": "guess"}
        ),
    ],
    ids=["key", "type", "nullable", "identity", "removed", "added"],
)
def test_signature_changes_with_the_fields(change: Any) -> None:
    assert _signature(change) != _signature()
