-- name: list_page
-- Projects after an id. Inactive and deleted ones only on request (status 'all' or the status itself).
SELECT id, project_number, name, client, status, start_date, end_date, lead, notes, scope, deleted_at,
       bqe_client_name, bqe_client_id, client_sync_policy_state, is_active, created_at, updated_at
  FROM hub.projects
 WHERE id > %(after_id)s
   AND CASE WHEN %(status)s::text IS NULL THEN is_active AND deleted_at IS NULL
            WHEN %(status)s = 'all' THEN true
            ELSE status = %(status)s END
 ORDER BY id LIMIT %(limit)s;

-- name: unlinked_count
-- Projects that no record of the provider was ever matched with.
SELECT count(*) AS n FROM hub.projects p
 WHERE p.deleted_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link l
                    WHERE l.provider_key = %(provider_key)s AND l.local_entity = 'project' AND l.local_id = p.id);

-- name: backfill_bqe_client
-- For development: as if the provider's client were the local one. Linked projects have theirs from the provider.
UPDATE hub.projects p SET bqe_client_name = p.client
 WHERE p.bqe_client_name IS NULL AND p.client IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link l
                    WHERE l.local_entity = 'project' AND l.local_id = p.id AND l.is_active);
