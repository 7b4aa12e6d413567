-- name: page
-- The plan of changes of a run, by seq; images by column name.
SELECT seq, external_id, local_id, action, reason, outcome, before, after FROM hub.hub_v_change
 WHERE run_id = %(run_id)s AND seq > %(after)s AND (%(action)s::text IS NULL OR action = %(action)s)
 ORDER BY seq LIMIT %(limit)s;

-- name: rejects
-- What waits in quarantine since this run.
SELECT external_id, code, reason, pointer FROM hub.quarantine WHERE run_id = %(run_id)s ORDER BY id;
