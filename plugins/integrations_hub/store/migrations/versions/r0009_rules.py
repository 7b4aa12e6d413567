"""Decisions to read again, a revision of the state, the times of stages.

A downgrade loses which revisions of a rule were saved with which decision, and when stages began.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns, and the trigger that counts changes of the state."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Take them away again."""
    sql_files.run(__file__, down=True)
