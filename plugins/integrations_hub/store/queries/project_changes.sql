-- name: begin_mapped
-- Mapped rows of this session, typed like hub.projects. A retry in the same session starts empty.
DROP TABLE IF EXISTS pg_temp.mapped;
CREATE TEMP TABLE mapped (external_id text, source_updated_at timestamp, raw_status text,
    project_number text, name text, client text, status text, start_date date, end_date date, lead text, notes text,
    bqe_client_name text, bqe_client_id text, wanted boolean);

-- name: copy_mapped
-- Mapped rows, in the entity's column order; wanted: the rule's filters let it in.
COPY mapped (external_id, source_updated_at, raw_status, project_number, name, client, status, start_date, end_date, lead, notes,
    bqe_client_name, bqe_client_id, wanted) FROM STDIN;

-- name: analyze_mapped
-- The joins below need its size and how distinct their keys are.
ANALYZE mapped (external_id, project_number);

-- name: save_changes
-- The plan of changes: mapped rows against local ones, field by field, before anything is locked. Rows: how many per action; `found`, what was
-- neither left alone nor as it should be; `passed`, what the rule leaves alone; and each record that the tables could not hold, with the
-- column to blame (index entries end at 2,700 bytes).
-- met: unlinked local rows with the number of a record without a local row.
WITH found AS MATERIALIZED (
    SELECT m.external_id, m.source_updated_at, m.project_number, l.id AS link_id, p.id AS local_id,
           CASE WHEN octet_length(m.external_id) > 1000 THEN 'external_id'
                WHEN (btrim(m.name) = '') IS NOT FALSE AND (%(policies)s::text[])[2] <> 'unmapped' THEN 'name'
                WHEN octet_length(m.project_number) > 2500 THEN 'project_number' WHEN octet_length(m.bqe_client_name) > 2500 THEN 'bqe_client_name'
                WHEN octet_length(m.bqe_client_id) > 2500 THEN 'bqe_client_id' END AS unfit,
           coalesce(NOT l.is_active, NOT m.wanted OR m.source_updated_at < %(only_since)s::timestamp, false) AS passed,
           CASE WHEN s.gone THEN
                    CASE WHEN %(deletion_policy)s = 'ignore' THEN 'skip'
                         WHEN p.status <> 'inactive' OR (%(deletion_policy)s = 'soft_delete' AND p.deleted_at IS NULL) THEN 'inactivate'
                         ELSE 'update' END
                WHEN (%(policies)s::text[])[1] IN ('follow', 'preserve_local') AND (%(policies)s::text[])[2] IN ('follow', 'preserve_local')
                     AND coalesce(l.base[2], p.name) <> m.name AND coalesce(l.base[1], p.project_number) IS DISTINCT FROM m.project_number
                     AND (m.source_updated_at IS NULL OR m.source_updated_at IS DISTINCT FROM l.source_updated_at) THEN 'review'
                WHEN l.remote_deleted_at IS NOT NULL OR (p.status = 'inactive' AND d.status <> 'inactive') THEN 'revive'
                ELSE 'update' END AS action,
           CASE WHEN p.id IS NOT NULL THEN hub.image(p) || hub.image(l) END AS before,
           CASE WHEN p.id IS NULL THEN
                    ARRAY[m.project_number, m.name, m.client, coalesce(m.status, 'active'), m.start_date::text, m.end_date::text, m.lead,
                          m.notes, m.bqe_client_name, m.bqe_client_id, 'in_scope', NULL, NULL, m.raw_status, s.base::text,
                          CASE WHEN m.status = 'inactive' THEN now()::text END]
                WHEN s.gone AND %(deletion_policy)s = 'ignore' THEN
                    hub.image(p) || ARRAY[m.raw_status, l.base::text, coalesce(l.remote_deleted_at, now())::text]
                WHEN s.gone THEN
                    ARRAY[p.project_number, p.name, p.client, 'inactive', p.start_date::text, p.end_date::text, p.lead, p.notes,
                          p.bqe_client_name, p.bqe_client_id, 'in_scope',
                          (CASE WHEN %(deletion_policy)s = 'soft_delete' THEN coalesce(p.deleted_at, now()) ELSE p.deleted_at END)::text,
                          p.client_sync_policy_state::text, m.raw_status, l.base::text, coalesce(l.remote_deleted_at, now())::text]
                ELSE
                    ARRAY[d.project_number, d.name, d.client, d.status, d.start_date::text, d.end_date::text, d.lead, d.notes,
                          d.bqe_client_name, d.bqe_client_id, 'in_scope',
                          (CASE WHEN l.remote_deleted_at IS NULL THEN p.deleted_at END)::text, NULL, m.raw_status, s.base::text, NULL]
                END AS after,
           CASE WHEN p.id IS NULL THEN CASE WHEN m.status IS NULL THEN '[4:4]={NULL}'::text[] END
                WHEN (d.project_number, d.name, d.client, d.status, d.start_date, d.end_date, d.lead, d.notes, d.bqe_client_name, d.bqe_client_id)
                     IS DISTINCT FROM (m.project_number, m.name, m.client, m.status, m.start_date, m.end_date, m.lead, m.notes, m.bqe_client_name,
                     m.bqe_client_id)
                THEN ARRAY[m.project_number, m.name, m.client, m.status, m.start_date::text, m.end_date::text, m.lead, m.notes,
                           m.bqe_client_name, m.bqe_client_id] END AS remote
      FROM mapped m
      LEFT JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
            AND l.connection_id = %(connection_id)s AND l.external_id = m.external_id
      LEFT JOIN hub.projects p ON p.id = l.local_id
     CROSS JOIN LATERAL (SELECT
            hub.merged((%(policies)s::text[])[1], p.project_number, m.project_number, l.base[1]) AS project_number,
            hub.merged((%(policies)s::text[])[2], p.name, m.name, l.base[2]) AS name,
            hub.merged((%(policies)s::text[])[3], p.client, m.client, p.bqe_client_name) AS client,
            CASE WHEN l.remote_deleted_at IS NOT NULL AND p.status = 'inactive' THEN coalesce(m.status, 'active')
                 ELSE hub.merged((%(policies)s::text[])[4], p.status, coalesce(m.status, p.status), l.base[4]) END AS status,
            hub.merged((%(policies)s::text[])[5], p.start_date, m.start_date, l.base[5]) AS start_date,
            hub.merged((%(policies)s::text[])[6], p.end_date, m.end_date, l.base[6]) AS end_date,
            hub.merged((%(policies)s::text[])[7], p.lead, m.lead, l.base[7]) AS lead,
            hub.merged((%(policies)s::text[])[8], p.notes, m.notes, l.base[8]) AS notes,
            hub.merged((%(policies)s::text[])[9], p.bqe_client_name, m.bqe_client_name, NULL) AS bqe_client_name,
            hub.merged((%(policies)s::text[])[10], p.bqe_client_id, m.bqe_client_id, NULL) AS bqe_client_id) AS d
     CROSS JOIN LATERAL (SELECT
            p.id IS NOT NULL AND (m.status = 'inactive' OR m.status IS NULL AND l.remote_deleted_at IS NOT NULL
                AND (%(policies)s::text[])[4] <> 'unmapped') IS TRUE AS gone,
            (%(policies)s::text[])[3] IN ('preserve_local', 'write_once') AND d.client <> '' AND d.client IS DISTINCT FROM d.bqe_client_name
                AS diverged,
            CASE WHEN NOT %(has_base)s THEN l.base ELSE ARRAY[
                CASE (%(policies)s::text[])[1] WHEN 'preserve_local' THEN m.project_number WHEN 'unmapped' THEN l.base[1] END,
                CASE (%(policies)s::text[])[2] WHEN 'preserve_local' THEN m.name WHEN 'unmapped' THEN l.base[2] END, NULL,
                CASE (%(policies)s::text[])[4] WHEN 'preserve_local' THEN coalesce(m.status, l.base[4]) WHEN 'unmapped' THEN l.base[4] END,
                CASE (%(policies)s::text[])[5] WHEN 'preserve_local' THEN m.start_date::text WHEN 'unmapped' THEN l.base[5] END,
                CASE (%(policies)s::text[])[6] WHEN 'preserve_local' THEN m.end_date::text WHEN 'unmapped' THEN l.base[6] END,
                CASE (%(policies)s::text[])[7] WHEN 'preserve_local' THEN m.lead WHEN 'unmapped' THEN l.base[7] END,
                CASE (%(policies)s::text[])[8] WHEN 'preserve_local' THEN m.notes WHEN 'unmapped' THEN l.base[8] END, NULL, NULL] END AS base) AS s
     WHERE p.id IS NULL OR NOT l.is_active
        OR CASE WHEN s.gone THEN
                l.remote_deleted_at IS NULL OR l.raw_status IS DISTINCT FROM m.raw_status OR %(deletion_policy)s <> 'ignore'
                AND (p.status <> 'inactive' OR p.scope <> 'in_scope' OR %(deletion_policy)s = 'soft_delete' AND p.deleted_at IS NULL)
            ELSE
                l.remote_deleted_at IS NOT NULL OR l.raw_status IS DISTINCT FROM m.raw_status OR p.scope <> 'in_scope'
                OR %(has_base)s AND l.base IS DISTINCT FROM s.base
                OR (p.project_number, p.name, p.client, p.status, p.start_date, p.end_date, p.lead, p.notes, p.bqe_client_name, p.bqe_client_id)
                   IS DISTINCT FROM (d.project_number, d.name, d.client, d.status, d.start_date, d.end_date, d.lead, d.notes,
                   d.bqe_client_name, d.bqe_client_id)
                OR (coalesce(p.client_sync_policy_state ->> 'diverged', '') = 'true') <> (s.diverged IS TRUE)
            END
), met AS (
    SELECT f.external_id, count(*) AS locals, min(q.id) AS local_id, count(*) OVER (PARTITION BY min(q.id)) AS rivals
      FROM found f
      JOIN hub.projects q ON q.project_number = f.project_number AND q.deleted_at IS NULL
     WHERE f.local_id IS NULL AND NOT f.passed AND f.unfit IS NULL
       AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link x WHERE x.provider_key = %(provider_key)s
            AND x.local_entity = 'project' AND x.local_id = q.id AND x.is_active)
     GROUP BY f.external_id
), saved AS (
    INSERT INTO hub.sync_change (run_id, seq, external_id, local_id, action, before, after, remote, reason, source_updated_at)
    SELECT %(run_id)s, row_number() OVER (), c.external_id, CASE c.action WHEN 'create' THEN nextval('hub.projects_id_seq') ELSE c.local_id END,
           c.action, c.before, c.after, c.remote, c.reason, c.source_updated_at
      FROM (
        SELECT f.external_id, coalesce(f.local_id, q.id) AS local_id, f.source_updated_at,
               CASE WHEN f.local_id IS NOT NULL THEN f.action
                    WHEN met.locals = 1 AND met.rivals = 1 THEN CASE %(conflict_policy)s WHEN 'upsert' THEN 'link' ELSE %(conflict_policy)s END
                    WHEN met.locals IS NOT NULL OR f.link_id IS NOT NULL OR NOT %(auto_create)s OR f.after[2] IS NULL THEN 'review'
                    ELSE 'create' END AS action,
               CASE WHEN q.id IS NOT NULL THEN hub.image(q) || ARRAY[NULL, NULL, NULL]::text[] ELSE f.before END AS before,
               CASE WHEN q.id IS NOT NULL THEN
                    hub.merged_image(%(policies)s::text[], (hub.image(q))[1:10], f.after[1:3] || CASE WHEN f.remote IS NULL THEN f.after[4]
                        ELSE q.status END || f.after[5:10], ARRAY[NULL, NULL, q.bqe_client_name])
                    || ARRAY['in_scope', NULL, NULL] || f.after[14:16] ELSE f.after END AS after,
               CASE WHEN q.id IS NOT NULL THEN hub.provider_said(f.after, f.remote) ELSE f.remote END AS remote,
               CASE WHEN f.local_id IS NOT NULL THEN
                        CASE f.action WHEN 'review' THEN 'name and number both changed: the id may stand for another project now'
                            WHEN 'inactivate' THEN 'archived by the provider' WHEN 'skip' THEN 'archived by the provider, which the rule ignores'
                            WHEN 'revive' THEN 'no longer archived' END
                    WHEN met.locals > 1 THEN met.locals || ' projects without a link have this number'
                    WHEN met.rivals > 1 THEN met.rivals || ' records meet the same project'
                    WHEN met.locals = 1 THEN 'a project without a link has the same number'
                    WHEN f.link_id IS NOT NULL THEN 'its project is gone here'
                    WHEN NOT %(auto_create)s THEN 'not linked, and autoCreate is off'
                    WHEN f.after[2] IS NULL THEN 'the mapping gives it no name' END AS reason
          FROM found f
          LEFT JOIN met ON met.external_id = f.external_id
          LEFT JOIN hub.projects q ON q.id = met.local_id AND met.locals = 1
         WHERE NOT f.passed AND f.unfit IS NULL
        UNION ALL
        SELECT r.external_id, p.id, r.updated_at, 'out_of_scope', i.image, i.image[1:10] || ARRAY['out_of_scope'] || i.image[12:16], NULL,
               'the record has a parent now'
          FROM hub.sync_record r
          JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
               AND l.connection_id = %(connection_id)s AND l.external_id = r.external_id AND l.is_active
          JOIN hub.projects p ON p.id = l.local_id AND p.scope = 'in_scope'
         CROSS JOIN LATERAL (SELECT hub.image(p) || hub.image(l) AS image) AS i
         WHERE r.run_id = %(run_id)s AND r.flag = 'child'
        UNION ALL
        SELECT a.external_id, p.id, NULL, 'out_of_scope', i.image, i.image[1:10] || ARRAY['out_of_scope'] || i.image[12:16], NULL,
               'the record has a parent now'
          FROM hub.sync_absent a
          JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
               AND l.connection_id = %(connection_id)s AND l.external_id = a.external_id AND l.is_active
          JOIN hub.projects p ON p.id = l.local_id AND p.scope = 'in_scope'
         CROSS JOIN LATERAL (SELECT hub.image(p) || hub.image(l) AS image) AS i
         WHERE a.run_id = %(run_id)s AND a.verdict = 'child'
        UNION ALL
        SELECT a.external_id, p.id, NULL, CASE %(deletion_policy)s WHEN 'ignore' THEN 'skip' ELSE 'inactivate' END, i.image,
               CASE %(deletion_policy)s WHEN 'ignore' THEN i.image[1:13]
                    ELSE i.image[1:3] || ARRAY['inactive'] || i.image[5:11]
                         || CASE %(deletion_policy)s WHEN 'soft_delete' THEN coalesce(p.deleted_at, now())::text ELSE i.image[12] END || i.image[13] END
               || i.image[14:15] || coalesce(l.remote_deleted_at, now())::text, NULL,
               'gone at the provider' || CASE %(deletion_policy)s WHEN 'ignore' THEN ', which the rule ignores' ELSE '' END
          FROM hub.sync_absent a
          JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
               AND l.connection_id = %(connection_id)s AND l.external_id = a.external_id AND l.is_active
          JOIN hub.projects p ON p.id = l.local_id
         CROSS JOIN LATERAL (SELECT hub.image(p) || hub.image(l) AS image) AS i
         WHERE a.run_id = %(run_id)s AND a.verdict = 'gone'
           AND (l.remote_deleted_at IS NULL OR %(deletion_policy)s <> 'ignore'
                AND (p.status <> 'inactive' OR %(deletion_policy)s = 'soft_delete' AND p.deleted_at IS NULL))
      ) AS c
    RETURNING action
)
SELECT action, count(*) AS n, NULL AS external_id, NULL AS unfit FROM saved GROUP BY action
UNION ALL SELECT 'passed', count(*), NULL, NULL FROM found WHERE passed
UNION ALL SELECT 'found', count(*), NULL, NULL FROM found
UNION ALL SELECT 'unfit', 1, external_id, unfit FROM found WHERE unfit IS NOT NULL AND NOT passed;

-- name: lock_chunk
-- The rows that a chunk changes, in the order of their ids, so that two writers wait for each other instead of deadlocking; moved: somebody
-- changed the row since the plan.
SELECT c.seq, (hub.image(p))[1:12] IS DISTINCT FROM c.before[1:12] AS moved
  FROM hub.sync_change c JOIN hub.projects p ON p.id = c.local_id
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s
   AND c.action IN ('update', 'link', 'inactivate', 'revive', 'out_of_scope', 'remove', 'unlink')
 ORDER BY p.id FOR NO KEY UPDATE OF p;

-- name: vanished_in_chunk
-- Changes whose row is no longer there to be locked.
SELECT c.seq FROM hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s
   AND c.action IN ('update', 'link', 'inactivate', 'revive', 'out_of_scope')
   AND NOT EXISTS (SELECT 1 FROM hub.projects p WHERE p.id = c.local_id);

-- name: redecide
-- Rows that moved since they were planned are decided again, on the row as it is now and locked: no edit made meanwhile is lost.
UPDATE hub.sync_change c
   SET before = CASE WHEN i.deleted THEN c.before ELSE i.image END,
       action = CASE WHEN i.refused THEN 'review' ELSE c.action END,
       reason = CASE WHEN i.deleted THEN 'its project was deleted meanwhile'
                     WHEN i.refused THEN 'the project got another number meanwhile' ELSE c.reason END,
       outcome = CASE WHEN i.refused THEN 'refused' ELSE 'redecided' END,
       after = CASE WHEN i.refused THEN c.after ELSE CASE c.action
            WHEN 'out_of_scope' THEN i.image[1:10] || ARRAY['out_of_scope'] || i.image[12:16]
            WHEN 'inactivate' THEN i.image[1:3] || c.after[4] || i.image[5:10] || c.after[11] || coalesce(i.image[12], c.after[12])
                                   || i.image[13] || c.after[14:16]
            ELSE hub.merged_image(%(policies)s::text[], i.image[1:10],
                    i.remote[1:3] || coalesce(i.remote[4], i.image[4]) || i.remote[5:10],
                    coalesce(i.base[1:2], '{NULL,NULL}') || i.image[9] || i.base[4:10])
                 || c.after[11] || CASE WHEN c.action <> 'revive' THEN i.image[12] END || NULL::text || c.after[14:16] END END,
       remote = i.remote
  FROM (SELECT w.ctid AS place, hub.image(p) || coalesce(hub.image(l), ARRAY[NULL, NULL, NULL]) AS image, l.base, coalesce(w.remote, w.after[1:10]) AS remote,
               p.id IS NULL AS deleted, p.id IS NULL OR w.action = 'link' AND p.project_number IS DISTINCT FROM w.before[1] AS refused
          FROM hub.sync_change w
          LEFT JOIN hub.projects p ON p.id = w.local_id
          LEFT JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
               AND l.connection_id = %(connection_id)s AND l.external_id = w.external_id
         WHERE w.run_id = %(run_id)s AND w.seq = ANY(%(seqs)s)) AS i
 WHERE c.ctid = i.place;

-- name: create_chunk
-- New projects with their links; whoever else writes links needs the lease, and the links' unique indexes are the last word.
WITH made AS (
    INSERT INTO hub.projects (id, project_number, name, client, status, start_date, end_date, lead, notes, bqe_client_name, bqe_client_id,
           client_sync_policy_state)
    SELECT local_id, after[1], after[2], after[3], after[4], after[5]::date, after[6]::date, after[7], after[8], after[9], after[10],
           coalesce(after[13]::jsonb,
                (SELECT jsonb_build_object('policy', %(client_policy)s::text, 'at', now(), 'run_id', %(run_id)s::bigint))
                || jsonb_build_object('base_value', after[9],
                'diverged', (%(policies)s::text[])[3] IN ('preserve_local', 'write_once') AND coalesce(after[3], '') <> ''
                    AND after[3] IS DISTINCT FROM after[9]))
      FROM hub.sync_change
     WHERE run_id = %(run_id)s AND seq BETWEEN %(first_seq)s AND %(last_seq)s AND action = 'create'
)
INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, local_entity, local_id, raw_status,
       source_updated_at, run_id, base, remote_deleted_at, idempotency_key)
SELECT %(provider_key)s, %(object_key)s, %(connection_id)s, external_id, 'project', local_id, after[14], source_updated_at, %(run_id)s,
       after[15]::text[], after[16]::timestamptz, %(key_prefix)s || hash_array_extended(after[1:10], 0)
  FROM hub.sync_change WHERE run_id = %(run_id)s AND seq BETWEEN %(first_seq)s AND %(last_seq)s AND action = 'create';

-- name: drop_dead_links
-- A record whose project is gone may be linked with another one.
DELETE FROM hub.integration_external_link l
 USING hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action = 'link'
   AND l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s
   AND l.external_id = c.external_id AND NOT EXISTS (SELECT 1 FROM hub.projects p WHERE p.id = l.local_id);

-- name: link_chunk
-- Links of rows that were here before.
INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id, local_entity, local_id, raw_status,
       source_updated_at, run_id, base, remote_deleted_at, idempotency_key)
SELECT %(provider_key)s, %(object_key)s, %(connection_id)s, external_id, 'project', local_id, after[14], source_updated_at, %(run_id)s,
       after[15]::text[], after[16]::timestamptz, %(key_prefix)s || hash_array_extended(coalesce(remote, after[1:10]), 0)
  FROM hub.sync_change WHERE run_id = %(run_id)s AND seq BETWEEN %(first_seq)s AND %(last_seq)s AND action = 'link';

-- name: update_chunk
-- Changed projects and links become what their image says; the image was decided on the locked row (redecide).
WITH linked AS (
    UPDATE hub.integration_external_link l
       SET source_updated_at = coalesce(c.source_updated_at, l.source_updated_at), raw_status = c.after[14], base = c.after[15]::text[],
           remote_deleted_at = c.after[16]::timestamptz, synced_at = now(), run_id = %(run_id)s,
           idempotency_key = %(key_prefix)s || hash_array_extended(coalesce(c.remote, c.after[1:10]), 0)
      FROM hub.sync_change c
     WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action IN ('update', 'inactivate', 'revive', 'skip')
       AND c.before IS NOT NULL AND l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
       AND l.connection_id = %(connection_id)s AND l.external_id = c.external_id AND l.local_id = c.local_id
)
UPDATE hub.projects p
   SET project_number = c.after[1], name = c.after[2], client = c.after[3], status = c.after[4], start_date = c.after[5]::date,
       end_date = c.after[6]::date, lead = c.after[7], notes = c.after[8], bqe_client_name = c.after[9], bqe_client_id = c.after[10],
       scope = c.after[11], deleted_at = c.after[12]::timestamptz, updated_at = now(),
       client_sync_policy_state = CASE WHEN c.action = 'unlink' THEN c.after[13]::jsonb ELSE coalesce(c.after[13]::jsonb,
            (SELECT jsonb_build_object('policy', %(client_policy)s::text, 'at', now(), 'run_id', %(run_id)s::bigint))
            || jsonb_build_object('base_value', c.after[9],
                'diverged', (%(policies)s::text[])[3] IN ('preserve_local', 'write_once') AND coalesce(c.after[3], '') <> ''
                    AND c.after[3] IS DISTINCT FROM c.after[9])) END
  FROM hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s
   AND c.action IN ('update', 'link', 'inactivate', 'revive', 'out_of_scope', 'unlink') AND p.id = c.local_id;

-- name: remove_chunk
-- An undo takes back what a run created or linked; the image in `before` brings it again.
WITH unlinked AS (
    DELETE FROM hub.integration_external_link l USING hub.sync_change c
     WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action IN ('remove', 'unlink')
       AND l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s
       AND l.external_id = c.external_id AND l.local_id = c.local_id
)
DELETE FROM hub.projects p USING hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.seq BETWEEN %(first_seq)s AND %(last_seq)s AND c.action = 'remove' AND p.id = c.local_id;

-- name: mark_drifted
-- Of a plan that is applied exactly: rows that are no longer what they were when it was made wait for review, untouched.
UPDATE hub.sync_change c SET action = 'review', outcome = 'drifted', reason = 'it changed since it was planned'
  FROM (SELECT w.seq
          FROM hub.sync_change w
          LEFT JOIN hub.projects p ON p.id = w.local_id
          LEFT JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
               AND l.connection_id = %(connection_id)s AND l.external_id = w.external_id
         WHERE w.run_id = %(run_id)s AND w.seq BETWEEN %(first_seq)s AND %(last_seq)s AND w.action <> 'review'
           AND CASE WHEN w.before IS NULL THEN
                    p.id IS NOT NULL OR l.id IS NOT NULL OR EXISTS (
                        SELECT 1 FROM hub.projects q WHERE q.project_number = w.after[1] AND q.deleted_at IS NULL
                           AND NOT EXISTS (SELECT 1 FROM hub.integration_external_link x WHERE x.provider_key = %(provider_key)s
                                AND x.local_entity = 'project' AND x.local_id = q.id AND x.is_active))
                ELSE p.id IS NULL OR (hub.image(p))[1:12] IS DISTINCT FROM w.before[1:12]
                     OR coalesce(hub.image(l), ARRAY[NULL, NULL, NULL]::text[]) IS DISTINCT FROM w.before[14:16] END) AS d
 WHERE c.run_id = %(run_id)s AND c.seq = d.seq;

-- name: plan_undo
-- What takes a run back: each value that is still the one it wrote becomes again what it was before; others are kept and named.
WITH did AS (
    SELECT x.seq, x.external_id, x.local_id, x.action, x.before AS was, x.after AS wrote, p.id AS project_id, l.id AS link_id,
           hub.image(p) || coalesce(hub.image(l), ARRAY[NULL, NULL, NULL]::text[]) AS now,
           (hub.image(p))[1:12] IS NOT DISTINCT FROM x.after[1:12] AS untouched,
           EXISTS (SELECT 1 FROM hub.integration_external_link o WHERE o.local_entity = 'project' AND o.local_id = x.local_id AND o.is_active
                      AND (o.provider_key, o.connection_id, o.external_id) <> (%(provider_key)s, %(connection_id)s::bigint, x.external_id)) AS shared
      FROM hub.sync_change x
      JOIN hub.sync_chunk k ON k.run_id = x.run_id AND x.seq BETWEEN k.first_seq AND k.last_seq
      LEFT JOIN hub.projects p ON p.id = x.local_id
      LEFT JOIN hub.integration_external_link l ON l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
           AND l.connection_id = %(connection_id)s AND l.external_id = x.external_id AND l.local_id = x.local_id
     WHERE x.run_id = %(undone_run_id)s AND x.action <> 'review'
       AND (x.action <> 'skip' OR l.id IS NOT NULL)  -- without a link, a skipped record wrote nothing
), wanted AS (
    SELECT d.seq, d.external_id, d.local_id,
           CASE d.action WHEN 'remove' THEN 'create' WHEN 'link' THEN 'unlink' WHEN 'unlink' THEN 'link'
                WHEN 'create' THEN CASE WHEN d.untouched AND NOT d.shared THEN 'remove' ELSE 'review' END ELSE 'update' END AS action,
           CASE WHEN d.action <> 'remove' THEN d.now END AS before,
           CASE d.action WHEN 'create' THEN NULL WHEN 'remove' THEN d.was ELSE m.image END AS after,
           CASE WHEN d.action = 'create' AND d.shared THEN 'kept: another connection uses it'
                WHEN d.action = 'create' AND NOT d.untouched THEN 'kept: it was changed since the run created it'
                WHEN d.action NOT IN ('create', 'remove') AND m.kept <> '' THEN 'kept: ' || m.kept || ' changed since' END AS reason
      FROM did d
     CROSS JOIN LATERAL (
        SELECT array_agg(CASE WHEN i = 13 THEN CASE WHEN d.untouched THEN d.was[13] END
                              WHEN i > 13 AND d.link_id IS NULL THEN d.was[i]
                              WHEN d.now[i] IS NOT DISTINCT FROM d.wrote[i] THEN d.was[i] ELSE d.now[i] END ORDER BY i) AS image,
               coalesce(string_agg((%(columns)s::text[])[i], ', ' ORDER BY i) FILTER (WHERE i <= 12 AND d.now[i] IS DISTINCT FROM d.wrote[i]
                    AND d.was[i] IS DISTINCT FROM d.wrote[i]), '') AS kept
          FROM generate_series(1, 16) AS i) AS m
     WHERE CASE d.action WHEN 'remove' THEN d.project_id IS NULL AND d.link_id IS NULL WHEN 'unlink' THEN d.project_id IS NOT NULL AND d.link_id IS NULL
                WHEN 'link' THEN d.link_id IS NOT NULL ELSE d.project_id IS NOT NULL END
), saved AS (
    INSERT INTO hub.sync_change (run_id, seq, external_id, local_id, action, before, after, reason)
    SELECT %(run_id)s, row_number() OVER (ORDER BY w.seq), w.external_id, w.local_id, w.action, w.before, w.after, w.reason
      FROM wanted w
     WHERE w.action <> 'update' OR w.reason IS NOT NULL OR w.before[1:12] IS DISTINCT FROM w.after[1:12] OR w.before[14:16] IS DISTINCT FROM w.after[14:16]
    RETURNING action
)
SELECT action, count(*) AS n FROM saved GROUP BY action;

-- name: chunk_counts
-- What became of a chunk's changes.
SELECT CASE WHEN outcome IN ('refused', 'drifted') THEN outcome ELSE action END AS action, count(*) AS n
  FROM hub.sync_change WHERE run_id = %(run_id)s AND seq BETWEEN %(first_seq)s AND %(last_seq)s
 GROUP BY 1;

-- name: refuse_change
-- One change that a constraint of the tables refuses waits for review; the rest of its chunk goes on.
UPDATE hub.sync_change SET action = 'review', outcome = 'refused', reason = %(reason)s WHERE run_id = %(run_id)s AND seq = %(first_seq)s;
