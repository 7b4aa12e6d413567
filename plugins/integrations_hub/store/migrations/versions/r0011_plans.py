"""Reserved: plans.

A downgrade loses nothing.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Nothing yet."""
    sql_files.run(__file__, down=True)
