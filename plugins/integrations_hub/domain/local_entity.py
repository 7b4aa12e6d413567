"""The local tables a provider object may be loaded into (allowlist; docs/decisions/0003-adding-a-local-entity.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalColumn:
    """A column that a mapping may fill. `max_length` in characters keeps values within index limits.

    `provider_owned`: people cannot edit it, so it always follows the provider.
    """

    name: str
    kind: str  # text | day | status
    max_length: int = 1000
    provider_owned: bool = False


@dataclass(frozen=True)
class LocalEntity:
    """`columns` in the order in which mapped rows carry them."""

    key: str
    columns: tuple[LocalColumn, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the order of mapped rows."""
        return tuple(column.name for column in self.columns)

    @property
    def image_columns(self) -> tuple[str, ...]:
        """What a change set's image of a row and its link holds, in order (hub.image in SQL)."""
        return (*self.column_names, *_ROW_IMAGE, *_LINK_IMAGE)


_ROW_IMAGE = ("scope", "deleted_at", "client_sync_policy_state")
_LINK_IMAGE = ("raw_status", "base", "remote_deleted_at")

PROJECT = LocalEntity(
    "project",
    (
        LocalColumn("project_number", "text", 255),
        LocalColumn("name", "text", 2000),
        LocalColumn("client", "text"),
        LocalColumn("status", "status", 100),
        LocalColumn("start_date", "day"),
        LocalColumn("end_date", "day"),
        LocalColumn("lead", "text"),
        LocalColumn("notes", "text", 1_000_000),
        LocalColumn("bqe_client_name", "text", provider_owned=True),
        LocalColumn("bqe_client_id", "text", 255, provider_owned=True),
    ),
)

LOCAL_ENTITIES = {PROJECT.key: PROJECT}
