"""The audit log becomes a hash chain, with its head in a row of its own and the view hub_v_audit.

A downgrade loses the hashes of all entries and the head: what was changed before it can no longer be told.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Chain the entries that are there, then every new one."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Back to a log without hashes; the entries stay."""
    sql_files.run(__file__, down=True)
