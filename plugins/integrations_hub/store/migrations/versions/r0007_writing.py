"""The change set as arrays, its outcome, counters per kind of change, what a link remembers of its record.

A downgrade loses the change sets of all runs (their counters stay), what links know about archived records and the bases of
columns under preserve_local.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change set columns, counters, link columns, the merge rule as SQL functions, views."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Back to jsonb changes; the change sets are emptied."""
    sql_files.run(__file__, down=True)
