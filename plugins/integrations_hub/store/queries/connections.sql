-- name: create
-- A connection that nobody authorised yet.
INSERT INTO hub.integration_connection (provider_key, key, label, environment)
VALUES (%(provider_key)s, %(key)s, %(label)s, %(environment)s)
RETURNING *;

-- name: get
-- By the names people use.
SELECT * FROM hub.integration_connection WHERE provider_key = %(provider_key)s AND key = %(key)s;

-- name: by_id
-- By id.
SELECT * FROM hub.integration_connection WHERE id = %(connection_id)s;

-- name: list_all
-- Of one provider, or of all (provider_key null).
SELECT * FROM hub.integration_connection
 WHERE %(provider_key)s::text IS NULL OR provider_key = %(provider_key)s
 ORDER BY provider_key, key;

-- name: save_probe
-- What a probe of a server-side filter found, by object (D14); other objects keep theirs.
UPDATE hub.integration_connection
   SET filter_probes = filter_probes || jsonb_build_object(%(object_key)s::text,
           %(probe)s::jsonb || jsonb_build_object('at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))),
       updated_at = clock_timestamp()
 WHERE id = %(connection_id)s;
