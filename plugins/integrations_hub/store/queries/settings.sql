-- name: get
-- The settings of a connection's object.
SELECT connection_id, object_key, settings, schema_version, revision, updated_at, updated_by
  FROM hub.integration_setting WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: insert_setting
-- First settings; no row when there are some.
INSERT INTO hub.integration_setting (connection_id, object_key, settings, schema_version, updated_by)
VALUES (%(connection_id)s, %(object_key)s, %(settings)s, %(schema_version)s, %(actor)s)
ON CONFLICT (connection_id, object_key) DO NOTHING
RETURNING *;

-- name: replace_setting
-- The next revision, if nobody saved since `expected_revision` was read.
UPDATE hub.integration_setting
   SET settings = %(settings)s, schema_version = %(schema_version)s, revision = revision + 1,
       updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND revision = %(expected_revision)s
RETURNING *;
