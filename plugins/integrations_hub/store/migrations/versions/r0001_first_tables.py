"""The first tables.

A downgrade drops the schema's tables: every connection, rule, run, link and project in it is lost.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables, functions and views of schema hub."""
    sql = Path(__file__).with_name("0001_first_tables.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(sql.replace("%", "%%"), {})


def downgrade() -> None:
    """Drop them again, keeping the schema and Alembic's own table."""
    sql = Path(__file__).with_name("0001_first_tables_down.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(sql)
