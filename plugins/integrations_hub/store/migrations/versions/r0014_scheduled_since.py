"""Since when a rule is enabled with its schedule."""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it, as of the last change of each rule."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Drop it."""
    sql_files.run(__file__, down=True)
