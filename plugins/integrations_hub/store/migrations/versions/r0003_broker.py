"""Token broker: write-ahead intent of a refresh, why a connection is in trouble, the Hub its tokens belong to.

A downgrade loses which refreshes had an unknown outcome, the last trouble's sentence, and which Hub
the tokens belong to: a copy of the database would then use them again.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New columns of the connection, and its public view."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Take them away; data loss: see above."""
    sql_files.run(__file__, down=True)
