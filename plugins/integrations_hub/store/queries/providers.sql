-- name: sync
-- The metadata in force; an unchanged document keeps its loaded_at.
INSERT INTO hub.integration_provider (key, schema_version, display_name, raw, checksum)
VALUES (%(key)s, %(schema_version)s, %(display_name)s, %(raw)s, %(checksum)s)
ON CONFLICT (key) DO UPDATE
   SET schema_version = excluded.schema_version, display_name = excluded.display_name, raw = excluded.raw,
       checksum = excluded.checksum, loaded_at = now()
 WHERE hub.integration_provider.checksum IS DISTINCT FROM excluded.checksum;

-- name: list_loaded
-- What was loaded when, without the documents.
SELECT key, schema_version, display_name, checksum, loaded_at FROM hub.integration_provider ORDER BY key;
