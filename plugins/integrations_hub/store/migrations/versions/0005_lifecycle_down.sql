DROP FUNCTION hub.forget_connection(bigint);
ALTER TABLE hub.integration_connection
    DROP COLUMN disabled_at,
    DROP COLUMN disconnected_at,
    DROP COLUMN deleted_at,
    DROP COLUMN secret_ref,
    DROP COLUMN headers;
