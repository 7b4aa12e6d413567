"""The first tables.

A downgrade drops the schema's tables: every connection, rule, run, link and project in it is lost.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables, functions and views of schema hub."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Drop them again, keeping the schema and Alembic's own table."""
    sql_files.run(__file__, down=True)
