"""The field signature a mapping is saved against: it goes stale when the declared fields change (D12)."""

from __future__ import annotations

import hashlib
import json

from integrations_hub.catalog.metadata import ObjectMeta


def field_signature(obj: ObjectMeta) -> str:
    """sha256 over the sorted (key, type, nullable, identity) of the fields; labels and order don't count."""
    facts = sorted([f.key, f.type, f.nullable, f.identity] for f in obj.fields.values())
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
