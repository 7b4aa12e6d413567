"""How a rule lets a run write: who wins for a column, what conflicts and deletions at the provider lead to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from integrations_hub.domain.local_entity import LocalEntity

FOLLOW, PRESERVE_LOCAL, WRITE_ONCE, UNMAPPED = "follow", "preserve_local", "write_once", "unmapped"


@dataclass(frozen=True)
class WriteRules:
    """What map_fields plans by and upsert decides by.

    `policies`: one per column of the entity, in its order. `has_base`: links remember what the
    provider said last. `only_since` (naive UTC, the provider's clock): unlinked records that have
    not changed since are none of the rule's. `key_prefix`: rule revision and mapping version.
    """

    local_entity: str
    policies: tuple[str, ...]
    has_base: bool
    client_policy: str
    auto_create: bool
    conflict_policy: str  # upsert | skip | review
    deletion_policy: str  # mark_inactive_keep_link | ignore | soft_delete
    only_since: datetime | None
    key_prefix: str


def by_column(
    entity: LocalEntity, mapped: Collection[str], policies: Mapping[str, str]
) -> tuple[str, ...]:
    """One policy per column, in the entity's order.

    A column that the mapping does not fill is `unmapped` (kept as it is); what only the provider
    may write always follows; a column that `policies` does not name follows, too.
    """

    def policy(name: str, provider_owned: bool) -> str:
        if name not in mapped:
            return UNMAPPED
        return FOLLOW if provider_owned else policies.get(name, FOLLOW)

    return tuple(policy(column.name, column.provider_owned) for column in entity.columns)


def has_base(entity: LocalEntity, policies: Collection[str]) -> bool:
    """True when links must remember what the provider said last, to tell whose edit a difference is.

    The client needs none: its base is the provider's client name, a column of the row itself.
    """
    return any(
        policy == PRESERVE_LOCAL and column.name != "client"
        for column, policy in zip(entity.columns, policies, strict=True)
    )
