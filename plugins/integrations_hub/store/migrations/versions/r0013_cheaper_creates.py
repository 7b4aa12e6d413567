"""What a project made by a sync costs: two indexes and the check of its link."""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace them."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Bring the former ones back; a number of more than 2,700 bytes stands in the way."""
    sql_files.run(__file__, down=True)
