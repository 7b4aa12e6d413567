"""Life of a connection: disabled, disconnected and deleted since when, secret_ref, its own headers.

A downgrade loses these instants, secret_ref and the headers; a deleted connection then shows again,
as one that was never connected.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New columns of the connection."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Take them away; data loss: see above."""
    sql_files.run(__file__, down=True)
