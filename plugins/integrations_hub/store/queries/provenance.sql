-- Where a project's values came from: its row now, its links, and what runs wrote to it.

-- name: project
-- The row as an image, by column.
SELECT jsonb_object(%(columns)s::text[], (hub.image(p))[1:12]) AS now FROM hub.projects p WHERE p.id = %(id)s;

-- name: links
-- Records of providers that the project stands for.
SELECT l.provider_key, c.key AS connection_key, l.object_type AS object_key, l.external_id, l.is_active, l.source_updated_at, l.synced_at, l.run_id
  FROM hub.integration_external_link l JOIN hub.integration_connection c ON c.id = l.connection_id
 WHERE l.local_entity = 'project' AND l.local_id = %(id)s ORDER BY l.id;

-- name: steps
-- What runs wrote to the row, oldest first: only chunks that were applied.
WITH done AS (
    SELECT c.* FROM hub.sync_change c WHERE c.local_id = %(id)s AND c.action = 'create'
    UNION ALL
    SELECT c.* FROM hub.sync_change c WHERE c.local_id = %(id)s AND c.action <> 'create'
)
SELECT d.run_id, d.action, d.before[1:12] AS before, d.after[1:12] AS after, hub.provider_said(d.after, d.remote) AS remote, d.external_id,
       r.provider_key, r.object_key, k.key AS connection_key, r.rule_id, r.plan, s.applied_at
  FROM done d
  JOIN hub.integration_run r ON r.id = d.run_id
  JOIN hub.integration_connection k ON k.id = r.connection_id
  JOIN hub.sync_chunk s ON s.run_id = d.run_id AND d.seq BETWEEN s.first_seq AND s.last_seq
 WHERE d.action NOT IN ('review', 'skip') AND r.plan ->> 'local_entity' = 'project'
 ORDER BY s.applied_at, d.run_id;
