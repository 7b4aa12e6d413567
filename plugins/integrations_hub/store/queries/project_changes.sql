-- name: begin_mapped
-- Mapped rows of this session, typed like hub.projects.
CREATE TEMP TABLE mapped (page_no integer, n integer, external_id text, source_updated_at timestamp, raw_status text,
    project_number text, name text, client text, status text, start_date date, end_date date, lead text, notes text,
    bqe_client_name text, bqe_client_id text);

-- name: drop_mapped
-- A retry in the same session starts empty.
DROP TABLE IF EXISTS pg_temp.mapped;

-- name: copy_mapped
-- Mapped rows, in the entity's column order.
COPY mapped FROM STDIN;

-- name: analyze_mapped
-- The join below needs its size.
ANALYZE mapped;

-- name: save_changes
-- The plan of changes: compares mapped rows with the local ones, field by field, before anything is locked.
INSERT INTO hub.sync_change (run_id, seq, external_id, local_id, action, before, after, reason, source_updated_at)
SELECT %(run_id)s, row_number() OVER (ORDER BY d.page_no, d.n), d.external_id, d.local_id, d.action, d.before, d.after, d.reason, d.source_updated_at
  FROM (
    SELECT m.page_no, m.n, m.external_id, p.id AS local_id, m.source_updated_at,
           CASE WHEN p.id IS NOT NULL THEN 'update' WHEN NOT %(auto_create)s THEN 'review' WHEN same_number.found THEN 'review' ELSE 'create' END AS action,
           CASE WHEN p.id IS NOT NULL THEN jsonb_build_object('project_number', p.project_number, 'name', p.name, 'client', p.client,
                'status', p.status, 'start_date', p.start_date, 'end_date', p.end_date, 'lead', p.lead, 'notes', p.notes,
                'bqe_client_name', p.bqe_client_name, 'bqe_client_id', p.bqe_client_id, 'scope', p.scope) END AS before,
           jsonb_build_object('project_number', m.project_number, 'name', m.name, 'client', m.client, 'status', m.status,
                'start_date', m.start_date, 'end_date', m.end_date, 'lead', m.lead, 'notes', m.notes,
                'bqe_client_name', m.bqe_client_name, 'bqe_client_id', m.bqe_client_id, 'raw_status', m.raw_status) AS after,
           CASE WHEN p.id IS NOT NULL THEN NULL WHEN NOT %(auto_create)s THEN 'not linked, and autoCreate is off'
                WHEN same_number.found THEN 'an unlinked project has the same number' END AS reason
      FROM mapped m
      LEFT JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
            AND l.connection_id = %(connection_id)s AND l.external_id = m.external_id
      LEFT JOIN hub.projects p ON p.id = l.local_id
     CROSS JOIN LATERAL (SELECT l.id IS NULL AND EXISTS (SELECT 1 FROM hub.projects q WHERE q.project_number = m.project_number
            AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link x WHERE x.provider_key = %(provider_key)s
                 AND x.local_entity = 'project' AND x.local_id = q.id AND x.is_active)) AS found) AS same_number
     WHERE p.id IS NULL OR p.scope <> 'in_scope' OR l.raw_status IS DISTINCT FROM m.raw_status
        OR (p.project_number, p.name, p.client, p.status, p.start_date, p.end_date, p.lead, p.notes, p.bqe_client_name, p.bqe_client_id)
           IS DISTINCT FROM
           (CASE WHEN 'project_number' = ANY(%(mapped)s) THEN m.project_number ELSE p.project_number END,
            CASE WHEN 'name' = ANY(%(mapped)s) THEN m.name ELSE p.name END,
            CASE WHEN NOT 'client' = ANY(%(mapped)s) THEN p.client ELSE
                 CASE %(client_policy)s WHEN 'follow_bqe' THEN m.client WHEN 'write_once' THEN p.client
                      ELSE CASE WHEN coalesce(p.client, '') = '' OR p.client = p.bqe_client_name THEN m.client ELSE p.client END END END,
            coalesce(m.status, p.status),
            CASE WHEN 'start_date' = ANY(%(mapped)s) THEN m.start_date ELSE p.start_date END,
            CASE WHEN 'end_date' = ANY(%(mapped)s) THEN m.end_date ELSE p.end_date END,
            CASE WHEN 'lead' = ANY(%(mapped)s) THEN m.lead ELSE p.lead END,
            CASE WHEN 'notes' = ANY(%(mapped)s) THEN m.notes ELSE p.notes END,
            CASE WHEN 'bqe_client_name' = ANY(%(mapped)s) THEN m.bqe_client_name ELSE p.bqe_client_name END,
            CASE WHEN 'bqe_client_id' = ANY(%(mapped)s) THEN m.bqe_client_id ELSE p.bqe_client_id END)
    UNION ALL
    SELECT r.page_no, r.n, r.external_id, p.id, r.updated_at, 'out_of_scope', jsonb_build_object('scope', p.scope),
           jsonb_build_object('scope', 'out_of_scope'), 'the record has a parent now'
      FROM hub.sync_record r
      JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
           AND l.connection_id = %(connection_id)s AND l.external_id = r.external_id AND l.is_active
      JOIN hub.projects p ON p.id = l.local_id AND p.scope = 'in_scope'
     WHERE r.run_id = %(run_id)s AND r.flag = 'child'
  ) AS d;

-- name: change_counts
-- Planned changes per action.
SELECT action, count(*) AS n FROM hub.sync_change WHERE run_id = %(run_id)s GROUP BY action;

-- name: mapped_count
-- Mapped rows of this session.
SELECT count(*) AS n FROM mapped;

-- name: create_chunk
-- New projects with their links; whoever else writes links needs the lease, and the links' unique index is the last word.
WITH fresh AS MATERIALIZED (
    SELECT nextval('hub.projects_id_seq') AS id, c.external_id, c.source_updated_at, c.after, v.*
      FROM hub.sync_change c
     CROSS JOIN LATERAL jsonb_to_record(c.after) AS v(project_number text, name text, client text, status text, start_date date, end_date date,
            lead text, notes text, bqe_client_name text, bqe_client_id text, raw_status text)
     WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action = 'create'
     ORDER BY c.seq
), made AS (
    INSERT INTO hub.projects (id, project_number, name, client, status, start_date, end_date, lead, notes, bqe_client_name, bqe_client_id,
           client_sync_policy_state)
    SELECT id, project_number, name, client, coalesce(status, 'active'), start_date, end_date, lead, notes, bqe_client_name, bqe_client_id,
           jsonb_build_object('policy', %(client_policy)s::text, 'base_value', bqe_client_name, 'diverged', false,
                              'at', clock_timestamp(), 'run_id', %(run_id)s::bigint)
      FROM fresh
)
INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, local_entity, local_id, raw_status,
       source_updated_at, run_id, idempotency_key)
SELECT %(provider_key)s, %(object_key)s, %(connection_id)s, external_id, 'project', id, raw_status, source_updated_at, %(run_id)s,
       encode(sha256(convert_to(%(key_prefix)s || external_id || '|' || after::text, 'UTF8')), 'hex')
  FROM fresh;

-- name: update_chunk
-- Changed projects; every policy is decided here, against the row as it is now, so no edit made meanwhile is lost.
WITH wanted AS MATERIALIZED (
    SELECT c.external_id, c.local_id, c.source_updated_at, c.after, v.*
      FROM hub.sync_change c
     CROSS JOIN LATERAL jsonb_to_record(c.after) AS v(project_number text, name text, client text, status text, start_date date, end_date date,
            lead text, notes text, bqe_client_name text, bqe_client_id text, raw_status text)
     WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action = 'update'
), linked AS (
    UPDATE hub.integration_external_link l
       SET source_updated_at = w.source_updated_at, raw_status = w.raw_status, synced_at = clock_timestamp(), run_id = %(run_id)s,
           idempotency_key = encode(sha256(convert_to(%(key_prefix)s || w.external_id || '|' || w.after::text, 'UTF8')), 'hex')
      FROM wanted w
     WHERE l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s
       AND l.external_id = w.external_id
)
UPDATE hub.projects p
   SET project_number = CASE WHEN 'project_number' = ANY(%(mapped)s) THEN w.project_number ELSE p.project_number END,
       name = CASE WHEN 'name' = ANY(%(mapped)s) THEN w.name ELSE p.name END,
       client = CASE WHEN NOT 'client' = ANY(%(mapped)s) THEN p.client ELSE
                CASE %(client_policy)s WHEN 'follow_bqe' THEN w.client WHEN 'write_once' THEN p.client
                     ELSE CASE WHEN coalesce(p.client, '') = '' OR p.client = p.bqe_client_name THEN w.client ELSE p.client END END END,
       status = coalesce(w.status, p.status),
       start_date = CASE WHEN 'start_date' = ANY(%(mapped)s) THEN w.start_date ELSE p.start_date END,
       end_date = CASE WHEN 'end_date' = ANY(%(mapped)s) THEN w.end_date ELSE p.end_date END,
       lead = CASE WHEN 'lead' = ANY(%(mapped)s) THEN w.lead ELSE p.lead END,
       notes = CASE WHEN 'notes' = ANY(%(mapped)s) THEN w.notes ELSE p.notes END,
       bqe_client_name = CASE WHEN 'bqe_client_name' = ANY(%(mapped)s) THEN w.bqe_client_name ELSE p.bqe_client_name END,
       bqe_client_id = CASE WHEN 'bqe_client_id' = ANY(%(mapped)s) THEN w.bqe_client_id ELSE p.bqe_client_id END,
       scope = 'in_scope', updated_at = clock_timestamp(),
       client_sync_policy_state = jsonb_build_object('policy', %(client_policy)s::text, 'base_value', w.bqe_client_name,
            'diverged', %(client_policy)s <> 'follow_bqe' AND coalesce(p.client, '') <> '' AND p.client IS DISTINCT FROM p.bqe_client_name,
            'at', clock_timestamp(), 'run_id', %(run_id)s::bigint)
  FROM wanted w
 WHERE p.id = w.local_id;

-- name: out_of_scope_chunk
-- Projects whose record has a parent now: kept, untouched, out of scope.
UPDATE hub.projects p SET scope = 'out_of_scope', updated_at = clock_timestamp()
  FROM hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action = 'out_of_scope' AND p.id = c.local_id;
