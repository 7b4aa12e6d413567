-- Life of a connection: since when it is off, where its app's secret is kept, which headers it sends.

ALTER TABLE hub.integration_connection
    ADD COLUMN disabled_at     timestamptz,
    ADD COLUMN disconnected_at timestamptz,
    ADD COLUMN deleted_at      timestamptz,
    ADD COLUMN secret_ref      text CHECK (secret_ref ~ '^airflow:[A-Za-z0-9_.-]{1,200}$'),
    ADD COLUMN headers         jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT integration_connection_deleted_is_off CHECK (deleted_at IS NULL OR NOT is_active);
COMMENT ON COLUMN hub.integration_connection.deleted_at IS 'a deleted connection stays as the name of its runs; its key is never given again';
COMMENT ON COLUMN hub.integration_connection.secret_ref IS 'airflow:<conn_id>: the Airflow connection that keeps client id (login) and secret (password); never copied here';
COMMENT ON COLUMN hub.integration_connection.headers IS 'values of the headers that the provider requires with source "connection"; no secrets';

-- What goes with a connection is declared where it is kept: ON DELETE CASCADE. The row itself stays, so nothing cascades by itself.
CREATE FUNCTION hub.forget_connection(connection bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        SELECT c.conrelid::regclass AS place, a.attname AS name
          FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         WHERE c.contype = 'f' AND c.confrelid = 'hub.integration_connection'::regclass AND c.confdeltype = 'c'
         ORDER BY c.conrelid
    LOOP
        EXECUTE format('DELETE FROM %s WHERE %I = $1', kept.place, kept.name) USING connection;
    END LOOP;
END $$;
