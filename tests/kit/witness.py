"""Which tables, and which columns of a connection, anybody wrote: triggers see every session's statements."""

from __future__ import annotations

from integrations_hub.store.database import Database

_TABLE = """
CREATE TABLE public.witness (what text NOT NULL);
CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.witness VALUES (TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE FUNCTION public.witness_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.witness SELECT TG_TABLE_NAME || '.' || n.key FROM jsonb_each(to_jsonb(NEW)) n
     WHERE n.value IS DISTINCT FROM to_jsonb(OLD) -> n.key;
    RETURN NULL;
END $$;
CREATE TRIGGER witness_columns AFTER UPDATE ON hub.integration_connection
    FOR EACH ROW EXECUTE FUNCTION public.witness_columns();
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'hub'"


def witness(database: Database) -> None:
    """From now on every written table of the schema hub is noted."""
    with database.transaction() as tx:
        tx.execute(_TABLE)
        for row in tx.execute(_TABLES).fetchall():
            tx.execute(
                f"CREATE TRIGGER witness AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON hub.{row['tablename']}"
                " FOR EACH STATEMENT EXECUTE FUNCTION public.witness()"
            )


def written(database: Database) -> set[str]:
    """`table`, and `integration_connection.column` for what changed in a connection."""
    return {row["what"] for row in database.rows("SELECT DISTINCT what FROM public.witness")}
