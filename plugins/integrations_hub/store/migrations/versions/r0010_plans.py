"""Plans that a person answers, and undo.

A downgrade loses approvals, the journal rows of undo runs that removed or unlinked projects, and their counts.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add actions, counts, approvals."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Take them away again."""
    sql_files.run(__file__, down=True)
