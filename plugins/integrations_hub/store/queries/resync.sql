-- name: request
-- A resync is a row; `until` is now, what changes later is read by the runs after it.
INSERT INTO hub.resync_request (connection_id, object_key, since, until, created_by)
VALUES (%(connection_id)s, %(object_key)s, %(since)s, clock_timestamp() AT TIME ZONE 'UTC', %(actor)s)
RETURNING id;

-- name: oldest_open
-- What the oldest open request of a connection and object still lacks: the hull of its gaps, then a sweep.
-- Only runs that began after the request count.
SELECT q.id, q.since, q.until, NOT isempty(g.gap) AS has_gap, lower(g.gap) AS gap_since, upper(g.gap) AS gap_until
  FROM hub.resync_request q
 CROSS JOIN LATERAL (
    SELECT tsmultirange(tsrange(q.since, q.until, '[]')) - coalesce(range_agg(tsrange(k.since, k.until, '[]')), tsmultirange()) AS gap
      FROM hub.resync_covered k
     WHERE k.connection_id = q.connection_id AND k.object_key = q.object_key AND k.started_at > q.created_at) AS g
 WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s AND q.closed_at IS NULL
 ORDER BY q.id LIMIT 1;

-- name: note_covered
-- The interval that a run has read and applied.
INSERT INTO hub.resync_covered (run_id, connection_id, object_key, since, until, swept, started_at)
SELECT r.id, r.connection_id, r.object_key, %(since)s, %(until)s, %(swept)s, r.started_at
  FROM hub.integration_run r WHERE r.id = %(run_id)s
ON CONFLICT (run_id) DO NOTHING;

-- name: close_swept
-- A sweep reads everything and sees what is gone, so it leaves no gap in any request made before it began.
UPDATE hub.resync_request q SET closed_at = clock_timestamp(), closed_by = %(run_id)s
 WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s AND q.closed_at IS NULL
   AND EXISTS (SELECT 1 FROM hub.resync_covered k WHERE k.connection_id = q.connection_id AND k.object_key = q.object_key
                  AND k.swept AND k.started_at > q.created_at);

-- name: clear_required
-- The flag goes when the last open request is closed, and only by one that was.
UPDATE hub.integration_state SET resync_required = false, updated_at = clock_timestamp()
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND resync_required
   AND NOT EXISTS (SELECT 1 FROM hub.resync_request q
                    WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s AND q.closed_at IS NULL);
