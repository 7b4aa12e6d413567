"""Flow and missing scopes of a connection; a consent remembers a confirmed change of company.

A downgrade loses the tokens of connections by client credentials (they are connected anew), which
scopes were not granted, and the record of consents that were finished.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New columns; verifiers that were spent are removed."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Back to the first tables."""
    sql_files.run(__file__, down=True)
