-- name: list
-- Records that wait (or have left quarantine), newest first.
SELECT id, external_id, code, reason, pointer, attempts, run_id, first_seen, last_seen, resolved_at FROM hub.quarantine
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND (resolved_at IS NOT NULL) = %(resolved)s
   AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
 ORDER BY id DESC LIMIT %(limit)s;
