"""Planting values in a provider's personal fields, and the tables that may hold them."""

from __future__ import annotations

from integrations_hub import wiring
from tests.kit.sandbox import SandboxProcess

USED = frozenset(
    (table, "*") for table in ("projects", "integration_external_link", "sync_change", "sync_body")
)


def plant(sandbox: SandboxProcess) -> dict[str, str]:
    """A value of its own in every personal field of five projects: sound, too long, nameless, undated, with a NUL."""
    fields = wiring.registry().get_object_catalog("bqe", "projects").fields
    personal = [key for key, field in fields.items() if field.pii]
    assert {"client", "manager", "memo"} <= set(personal)
    ids = sandbox.control("POST", "/touch", {"roots": 5})["ids"]
    planted, updates = {}, []
    for number, external_id in enumerate(ids):
        values = {key: f"c4n4ry {number} of {key} xyz" for key in personal}
        planted |= {f"{key} of record {number}": value for key, value in values.items()}
        updates.append({"id": external_id, "set": values})
    updates[1]["set"] = {key: text * 1000 for key, text in updates[1]["set"].items()}
    updates[2]["set"] |= {"name": None}
    updates[3]["set"] |= {"startDate": "2026-02-31T00:00:00"}
    updates[4]["set"] |= {key: f"{text}\0" for key, text in updates[4]["set"].items()}
    sandbox.control("POST", "/mutate", {"updates": updates})
    return planted
