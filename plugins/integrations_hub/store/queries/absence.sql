-- name: list_absent
-- Linked records in scope that a complete sweep did not list. An empty list, or more than the limit missing, concludes nothing.
WITH linked AS (
    SELECT l.external_id, l.local_id, l.missing_sweeps, l.missing_approved
      FROM hub.integration_external_link l
      LEFT JOIN hub.projects p ON l.local_entity = 'project' AND p.id = l.local_id
     WHERE l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s
       AND l.is_active AND l.gone_at IS NULL AND coalesce(p.scope, 'in_scope') = 'in_scope'
), absent AS (
    SELECT k.* FROM linked k
     WHERE NOT EXISTS (SELECT 1 FROM hub.sync_record r WHERE r.run_id = %(run_id)s AND r.external_id = k.external_id)
), counts AS (
    SELECT (SELECT count(*) FROM linked) AS linked, (SELECT count(*) FROM absent) AS absent,
           (SELECT count(*) FROM absent WHERE NOT missing_approved) AS unapproved
), saved AS (
    INSERT INTO hub.sync_absent (run_id, external_id, local_id, verdict)
    SELECT %(run_id)s, a.external_id, a.local_id,
           CASE WHEN c.unapproved > greatest(%(max_rows)s, c.linked * %(max_percent)s / 100.0) OR %(listed)s = 0 THEN 'too_many_missing'
                WHEN a.missing_sweeps >= 1 THEN 'asking' ELSE 'first_miss' END
      FROM absent a CROSS JOIN counts c
    ON CONFLICT (run_id, external_id) DO NOTHING
    RETURNING verdict
)
SELECT c.linked, c.absent, (SELECT count(*) FROM saved WHERE verdict = 'too_many_missing') AS too_many FROM counts c;

-- name: clear_absent
-- The listing begins again.
DELETE FROM hub.sync_absent WHERE run_id = %(run_id)s;

-- name: to_ask
-- Records to look up by id.
SELECT external_id FROM hub.sync_absent WHERE run_id = %(run_id)s AND verdict = 'asking' ORDER BY external_id;

-- name: a_listed_record
-- A record that this listing did hold, to see whether look-ups by id work at all.
SELECT external_id FROM hub.sync_record WHERE run_id = %(run_id)s AND flag IS NULL AND external_id IS NOT NULL LIMIT 1;

-- name: save_presence
-- What the look-up of one record said.
UPDATE hub.sync_absent SET verdict = %(verdict)s, decided_at = clock_timestamp()
 WHERE run_id = %(run_id)s AND external_id = %(external_id)s;

-- name: save_unproven
-- Look-ups by id cannot be trusted now: nothing is concluded.
UPDATE hub.sync_absent SET verdict = 'unproven', decided_at = clock_timestamp() WHERE run_id = %(run_id)s AND verdict = 'asking';

-- name: absent
-- What the run found absent.
SELECT external_id FROM hub.sync_absent WHERE run_id = %(run_id)s ORDER BY external_id;

-- name: count_missing
-- Only a complete sweep counts; a record that is no longer answered by id is gone until it is listed again.
UPDATE hub.integration_external_link l
   SET missing_sweeps = least(l.missing_sweeps + 1, 1000), missing_since = coalesce(l.missing_since, clock_timestamp()),
       gone_at = CASE WHEN a.verdict = 'gone' THEN coalesce(l.gone_at, clock_timestamp()) END
  FROM hub.sync_absent a
 WHERE a.run_id = %(run_id)s AND a.external_id = l.external_id
   AND l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s;

-- name: count_listed
-- What was missing and is listed again starts from nothing.
UPDATE hub.integration_external_link l SET missing_sweeps = 0, missing_since = NULL, missing_approved = false, gone_at = NULL
 WHERE l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s AND l.connection_id = %(connection_id)s
   AND (l.missing_sweeps > 0 OR l.gone_at IS NOT NULL)
   AND EXISTS (SELECT 1 FROM hub.sync_record r WHERE r.run_id = %(run_id)s AND r.external_id = l.external_id);

-- name: compare
-- Completeness: top-level records of the listing without a link although the plan of changes gave them one or forgot them
-- (missing), and links in scope whose record was not listed and is not known to be gone (extra).
WITH listed AS MATERIALIZED (
    SELECT external_id, flag FROM hub.sync_record WHERE run_id = %(run_id)s AND flag IS DISTINCT FROM 'child' AND external_id IS NOT NULL
), alone AS MATERIALIZED (
    SELECT r.external_id AS unlinked, r.flag, l.external_id AS unlisted, l.local_entity, l.local_id, l.is_active AND l.gone_at IS NULL AS expected
      FROM listed r
      FULL JOIN (SELECT * FROM hub.integration_external_link WHERE provider_key = %(provider_key)s AND object_type = %(object_key)s
                    AND connection_id = %(connection_id)s) AS l ON l.external_id = r.external_id
     WHERE r.external_id IS NULL OR l.external_id IS NULL
), missing AS (
    SELECT a.unlinked AS external_id FROM alone a
      LEFT JOIN (SELECT external_id, min(action) AS action FROM hub.sync_change
                  WHERE run_id = %(run_id)s AND external_id IN (SELECT unlinked FROM alone) GROUP BY external_id) AS c ON c.external_id = a.unlinked
     WHERE a.unlinked IS NOT NULL AND a.flag IS NULL
       AND NOT EXISTS (SELECT 1 FROM hub.quarantine q WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s
                          AND q.external_id = a.unlinked AND q.resolved_at IS NULL)
       AND (c.action IN ('create', 'link') OR (c.action IS NULL AND %(every_record)s))
), extra AS (
    SELECT a.unlisted AS external_id FROM alone a
      LEFT JOIN hub.projects p ON a.local_entity = 'project' AND p.id = a.local_id
     WHERE a.expected AND coalesce(p.scope, 'in_scope') = 'in_scope'
       AND NOT EXISTS (SELECT 1 FROM hub.sync_absent s WHERE s.run_id = %(run_id)s AND s.external_id = a.unlisted AND s.verdict = 'gone')
)
SELECT (SELECT count(*) FROM missing) AS missing, (SELECT count(*) FROM extra) AS extra,
       ARRAY(SELECT external_id FROM missing ORDER BY 1 LIMIT %(shown)s) AS missing_ids,
       ARRAY(SELECT external_id FROM extra ORDER BY 1 LIMIT %(shown)s) AS extra_ids,
       (SELECT count(*) FROM hub.sync_record WHERE run_id = %(run_id)s AND flag IS NULL) AS listed;

-- name: save_verdict
-- Stored with the run, shown with the connection.
UPDATE hub.integration_run SET verdict = %(verdict)s::jsonb WHERE id = %(run_id)s;
