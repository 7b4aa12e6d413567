"""Page bodies in staging.

A downgrade loses what is staged (a run under way ends as staging_lost; its next run reads again).
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Stage pages as they came; staged records keep what is needed to sort them."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Stage records one by one again."""
    sql_files.run(__file__, down=True)
