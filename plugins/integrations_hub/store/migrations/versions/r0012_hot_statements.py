"""What every request and every write transaction does, as functions of the database."""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the functions."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Drop them."""
    sql_files.run(__file__, down=True)
