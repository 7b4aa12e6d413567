"""Staged records as columns of their page; `sync_record` becomes a view. Nothing is lost either way."""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move what is staged and kept."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Move it back."""
    sql_files.run(__file__, down=True)
