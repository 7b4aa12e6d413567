"""openapi.json is what the routes are, and no answer has a place for a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from bridge_api.openapi import FILE, document

_SECRET = re.compile(r"secret|token|password|verifier|cipher|authorization|code$", re.I)
# codes of errors; the name of the Airflow connection that keeps a secret
_ALLOWED = {"code", "error_code", "secret_ref"}
_ANONYMOUS = ("liveness", "finish_connect", "finish_connect_alias", "connect_page_file")


def test_the_committed_contract_is_current() -> None:
    assert FILE.read_text("utf-8") == document(), "run: python -m bridge_api.openapi"


def test_no_answer_has_a_place_for_a_secret() -> None:
    schemas = json.loads(document())["components"]["schemas"]
    sent = schemas.pop("Credentials")  # a body only
    assert sent["properties"]["client_secret"]["writeOnly"] is True
    names = set(_properties(schemas))
    assert len(names) > 80
    assert {name for name in names if _SECRET.search(name)} - _ALLOWED == set()


def test_every_operation_is_named_and_tells_its_refusals() -> None:
    contract = json.loads(document())
    operations = [one for path in contract["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    for one in operations:
        assert one["summary"]
        if one["operationId"] not in _ANONYMOUS:
            assert "401" in one["responses"], one["operationId"]


def test_every_body_refuses_what_it_does_not_know() -> None:
    contract = json.loads(document())
    for path in contract["paths"].values():
        for one in path.values():
            for media in one.get("requestBody", {}).get("content", {}).values():
                body = media["schema"]  # a body that may be left out is a choice with null
                name = body.get("anyOf", [body])[0]["$ref"].rpartition("/")[2]
                schema = contract["components"]["schemas"][name]
                # a rule's body has a schema of its own, which refuses more
                assert name == "RuleBody" or schema["additionalProperties"] is False, name


def _properties(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from _properties(value)
    elif isinstance(node, list):
        for value in node:
            yield from _properties(value)
