"""Reserved: lifecycle.

A downgrade loses nothing.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Nothing yet."""
    sql_files.run(__file__, down=True)
