"""What every revision does: run the SQL file beside it."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run(revision_file: str, *, down: bool = False) -> None:
    """Run `<number>_<name>.sql` (or `_down.sql`) of the revision file `r<number>_<name>.py`."""
    path = Path(revision_file)
    name = path.stem.removeprefix("r") + ("_down.sql" if down else ".sql")
    sql = path.with_name(name).read_text(encoding="utf-8")
    if sql.strip():
        op.get_bind().exec_driver_sql(sql.replace("%", "%%"), {})
