-- name: create
-- A connection that nobody authorised yet.
INSERT INTO hub.integration_connection (provider_key, key, label, environment, limits, secret_ref, headers)
VALUES (%(provider_key)s, %(key)s, %(label)s, %(environment)s, %(limits)s, %(secret_ref)s, %(headers)s)
RETURNING *;

-- name: get
-- By the names people use; a deleted one is gone for people.
SELECT * FROM hub.integration_connection
 WHERE provider_key = %(provider_key)s AND key = %(key)s AND deleted_at IS NULL;

-- name: by_id
-- By id, a deleted one too: its runs still name it.
SELECT * FROM hub.integration_connection WHERE id = %(connection_id)s;

-- name: list_all
-- Of one provider, or of all (provider_key null).
SELECT * FROM hub.integration_connection
 WHERE deleted_at IS NULL AND (%(provider_key)s::text IS NULL OR provider_key = %(provider_key)s)
 ORDER BY provider_key, key;

-- name: save_probe
-- What a probe of a server-side filter found, by object (D14); other objects keep theirs.
UPDATE hub.integration_connection
   SET filter_probes = filter_probes || jsonb_build_object(%(object_key)s::text,
           %(probe)s::jsonb || jsonb_build_object('at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))),
       updated_at = clock_timestamp()
 WHERE id = %(connection_id)s;

-- name: deleted_at
-- Whether a key belongs to a deleted connection.
SELECT deleted_at FROM hub.integration_connection
 WHERE provider_key = %(provider_key)s AND key = %(key)s AND deleted_at IS NOT NULL;

-- name: change
-- What an admin may edit; null leaves a value as it is. Running tasks read the limits with every request.
UPDATE hub.integration_connection
   SET label = coalesce(%(label)s, label), limits = coalesce(%(limits)s, limits), headers = coalesce(%(headers)s, headers),
       secret_ref = CASE WHEN %(set_secret_ref)s THEN %(secret_ref)s ELSE secret_ref END, updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND deleted_at IS NULL
RETURNING *;
