"""First-run seeds, sweeps and what they find absent, completeness verdicts, resync requests.

A downgrade loses the seeds of rules that read from now on, the counts of missing records, the lists
of absent records, the verdicts, and every resync request with what was read for it.
"""

from __future__ import annotations

from integrations_hub.store.migrations import sql_files

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns on state, links and runs; the tables of absent records and of resyncs."""
    sql_files.run(__file__)


def downgrade() -> None:
    """Take them away again."""
    sql_files.run(__file__, down=True)
