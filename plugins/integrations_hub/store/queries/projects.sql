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

-- name: write_as_a_run
-- Until the transaction ends: the provider's columns may be written.
SELECT set_config('hub.writer', 'sync', true);

-- name: backfill_bqe_client
-- For development: as if the provider's client were the local one. Linked projects have theirs from the provider.
UPDATE hub.projects p SET bqe_client_name = p.client
 WHERE p.bqe_client_name IS NULL AND p.client IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link l
                    WHERE l.local_entity = 'project' AND l.local_id = p.id AND l.is_active);

-- name: begin_import
-- The lines of a file, for one transaction.
CREATE TEMP TABLE project_import (line integer PRIMARY KEY, given_id bigint, project_number text, name text, client text, status text,
    start_date date, end_date date, lead text, notes text, id bigint, candidates integer NOT NULL DEFAULT 0) ON COMMIT DROP;

-- name: copy_import
-- Lines in the order of the sheet's editable columns.
COPY project_import (line, given_id, project_number, name, client, status, start_date, end_date, lead, notes) FROM STDIN;

-- name: match_import
-- A line means the project of its id; without an id the one with its number, if there is exactly one.
WITH numbered AS (
    SELECT i.line, min(p.id) AS id, count(*)::integer AS n
      FROM project_import i JOIN hub.projects p ON p.project_number = i.project_number AND p.deleted_at IS NULL
     WHERE i.given_id IS NULL AND 'project_number' = ANY(%(columns)s) GROUP BY i.line
)
UPDATE project_import i SET id = m.id, candidates = m.n
  FROM (SELECT line, id, n FROM numbered
        UNION ALL
        SELECT j.line, p.id, 1 FROM project_import j JOIN hub.projects p ON p.id = j.given_id) AS m
 WHERE i.line = m.line;

-- name: import_problems
-- Lines that cannot be imported, in the file's order.
SELECT i.line, CASE WHEN i.given_id IS NOT NULL AND i.id IS NULL THEN 'there is no project ' || i.given_id
                    WHEN i.candidates > 1 THEN i.candidates || ' projects have this number; add the id column'
                    WHEN i.id IS NULL AND i.name IS NULL THEN 'is a new project and has no name'
                    ELSE 'means the same project as line ' || o.line END AS message
  FROM project_import i
  LEFT JOIN LATERAL (SELECT min(x.line) AS line FROM project_import x
                      WHERE x.line < i.line AND (x.id = i.id OR (x.id IS NULL AND i.id IS NULL AND x.project_number = i.project_number))) AS o ON true
 WHERE (i.given_id IS NOT NULL AND i.id IS NULL) OR i.candidates > 1 OR (i.id IS NULL AND i.name IS NULL) OR o.line IS NOT NULL
 ORDER BY i.line LIMIT 100;

-- name: import_differences
-- What the import changes, value by value.
SELECT i.line, p.id, v.column, v.before, v.after
  FROM project_import i JOIN hub.projects p ON p.id = i.id
 CROSS JOIN LATERAL (VALUES ('project_number', p.project_number, i.project_number), ('name', p.name, i.name), ('client', p.client, i.client),
        ('status', p.status, i.status), ('start_date', p.start_date::text, i.start_date::text), ('end_date', p.end_date::text, i.end_date::text),
        ('lead', p.lead, i.lead), ('notes', p.notes, i.notes)) AS v("column", before, after)
 WHERE v.column = ANY(%(columns)s) AND v.before IS DISTINCT FROM v.after
 ORDER BY i.line, v.column LIMIT %(limit)s;

-- name: import_updates
-- Only columns that the file has, only rows that differ; what the provider says is never touched.
UPDATE hub.projects p
   SET project_number = CASE WHEN 'project_number' = ANY(%(columns)s) THEN i.project_number ELSE p.project_number END,
       name = CASE WHEN 'name' = ANY(%(columns)s) THEN i.name ELSE p.name END,
       client = CASE WHEN 'client' = ANY(%(columns)s) THEN i.client ELSE p.client END,
       status = CASE WHEN 'status' = ANY(%(columns)s) THEN i.status ELSE p.status END,
       start_date = CASE WHEN 'start_date' = ANY(%(columns)s) THEN i.start_date ELSE p.start_date END,
       end_date = CASE WHEN 'end_date' = ANY(%(columns)s) THEN i.end_date ELSE p.end_date END,
       lead = CASE WHEN 'lead' = ANY(%(columns)s) THEN i.lead ELSE p.lead END,
       notes = CASE WHEN 'notes' = ANY(%(columns)s) THEN i.notes ELSE p.notes END,
       updated_at = clock_timestamp()
  FROM project_import i
 WHERE p.id = i.id
   AND (CASE WHEN 'project_number' = ANY(%(columns)s) THEN p.project_number IS DISTINCT FROM i.project_number ELSE false END
     OR CASE WHEN 'name' = ANY(%(columns)s) THEN p.name IS DISTINCT FROM i.name ELSE false END
     OR CASE WHEN 'client' = ANY(%(columns)s) THEN p.client IS DISTINCT FROM i.client ELSE false END
     OR CASE WHEN 'status' = ANY(%(columns)s) THEN p.status IS DISTINCT FROM i.status ELSE false END
     OR CASE WHEN 'start_date' = ANY(%(columns)s) THEN p.start_date IS DISTINCT FROM i.start_date ELSE false END
     OR CASE WHEN 'end_date' = ANY(%(columns)s) THEN p.end_date IS DISTINCT FROM i.end_date ELSE false END
     OR CASE WHEN 'lead' = ANY(%(columns)s) THEN p.lead IS DISTINCT FROM i.lead ELSE false END
     OR CASE WHEN 'notes' = ANY(%(columns)s) THEN p.notes IS DISTINCT FROM i.notes ELSE false END);

-- name: import_creates
-- Lines that mean no project yet.
INSERT INTO hub.projects (project_number, name, client, status, start_date, end_date, lead, notes)
SELECT project_number, name, client, coalesce(status, 'active'), start_date, end_date, lead, notes
  FROM project_import WHERE id IS NULL ORDER BY line;

-- name: client_differences
-- Projects whose local client is not the provider's name (of these ids; null = all).
SELECT id, project_number, name, client AS before, bqe_client_name AS after
  FROM hub.projects
 WHERE bqe_client_name IS NOT NULL AND client IS DISTINCT FROM bqe_client_name AND deleted_at IS NULL
   AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
 ORDER BY id;

-- name: reset_clients
-- The provider's name becomes the local client again; decided against the row as it is.
UPDATE hub.projects
   SET client = bqe_client_name, updated_at = clock_timestamp(),
       client_sync_policy_state = coalesce(client_sync_policy_state, '{}')
           || jsonb_build_object('diverged', false, 'base_value', bqe_client_name, 'at', clock_timestamp())
 WHERE bqe_client_name IS NOT NULL AND client IS DISTINCT FROM bqe_client_name AND deleted_at IS NULL AND id = ANY(%(ids)s)
RETURNING id;

-- name: missing_ids
-- Ids that name no project.
SELECT x.id FROM unnest(%(ids)s::bigint[]) AS x(id) WHERE NOT EXISTS (SELECT 1 FROM hub.projects p WHERE p.id = x.id) ORDER BY 1;
