"""Alembic environment: one connection handed in by store/migrate.py."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, version_table="alembic_version", version_table_schema="hub"
)
with context.begin_transaction():
    context.run_migrations()
