-- name: lock_connection
-- Savers of a connection's rules stand in a row; also tells whether the connection exists.
SELECT id FROM hub.integration_connection WHERE id = %(connection_id)s FOR NO KEY UPDATE;

-- name: lock_rule
-- The rule that a save or a switch works on.
SELECT id, revision, enabled FROM hub.integration_rule WHERE id = %(rule_id)s FOR UPDATE;

-- name: find_id
-- The rule of a connection and object: the enabled one, else the newest.
SELECT id, revision FROM hub.integration_rule
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s
 ORDER BY enabled DESC, id DESC LIMIT 1;

-- name: insert_rule
-- A first revision, disabled.
INSERT INTO hub.integration_rule (connection_id, object_key, body, updated_by)
VALUES (%(connection_id)s, %(object_key)s, %(body)s, %(actor)s)
RETURNING id, revision;

-- name: revise
-- The next revision; to read again is to begin a new generation of the state.
UPDATE hub.integration_rule
   SET revision = revision + 1, generation = generation + CASE WHEN %(reread)s THEN 1 ELSE 0 END, body = %(body)s,
       scheduled_since = CASE WHEN body -> 'schedule' = %(body)s::jsonb -> 'schedule' THEN scheduled_since ELSE clock_timestamp() END,
       updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE id = %(rule_id)s
RETURNING id, revision;

-- name: keep_revision
-- History: every revision that was ever in force.
INSERT INTO hub.integration_rule_revision (rule_id, revision, generation, reread, body, saved_by)
SELECT id, revision, generation, %(reread)s, body, updated_by FROM hub.integration_rule WHERE id = %(rule_id)s;

-- name: revisions
-- History, newest first, keyset by revision.
SELECT revision, generation, reread, body, saved_at, saved_by FROM hub.integration_rule_revision
 WHERE rule_id = %(rule_id)s AND (%(before)s::integer IS NULL OR revision < %(before)s)
 ORDER BY revision DESC LIMIT %(limit)s;

-- name: fence_off
-- The next write of a stage at work is refused.
UPDATE hub.integration_lease SET fence = fence + 1 WHERE key = %(key)s;

-- name: cancel_unstarted
-- Runs of the rule that no stage has begun end at once.
UPDATE hub.integration_run
   SET state = 'cancelled', ended_at = clock_timestamp(), error_code = 'CANCELLED', error_text = %(text)s, error_hint = %(hint)s
 WHERE rule_id = %(rule_id)s AND ended_at IS NULL AND state IN ('requested', 'waiting');

-- name: note_cancel
-- Running ones are ended by their own finish, which reads the reason here.
UPDATE hub.integration_run SET error_code = 'CANCELLED', error_text = %(text)s, error_hint = %(hint)s
 WHERE rule_id = %(rule_id)s AND ended_at IS NULL;

-- name: seed_of
-- Where a rule that reads from now on began.
SELECT seed FROM hub.integration_state WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: has_read
-- Whether something of this connection and object was read, or is being read, under the rule as it was.
SELECT EXISTS (SELECT 1 FROM hub.integration_state s
                WHERE s.connection_id = r.connection_id AND s.object_key = r.object_key AND s.mark IS NOT NULL)
    OR EXISTS (SELECT 1 FROM hub.integration_run n
                WHERE n.connection_id = r.connection_id AND n.object_key = r.object_key AND n.ended_at IS NULL) AS has_read
  FROM hub.integration_rule r WHERE r.id = %(rule_id)s;

-- name: set_enabled
-- The switch; nothing else changes.
UPDATE hub.integration_rule
   SET enabled = %(enabled)s, scheduled_since = clock_timestamp(), updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE id = %(rule_id)s;

-- name: read
-- One rule, or (id null) every enabled one for parsing. What waits for a person holds the schedule.
SELECT r.id, r.connection_id, c.key AS connection_key, c.label AS connection_label, c.provider_key, r.object_key,
       r.revision, r.generation, r.enabled, r.scheduled_since, r.body,
       coalesce(r.hold_reason,
           CASE WHEN c.is_disabled THEN 'connection disabled'
                WHEN c.needs_reauth AND c.reauth_reason = 'grant_rejected' THEN 'needs_reauth: grant_rejected'
                WHEN s.resync_required THEN 'resync_required' END) AS hold_reason
  FROM hub.integration_rule r JOIN hub.integration_connection c ON c.id = r.connection_id
  LEFT JOIN hub.integration_state s ON s.connection_id = r.connection_id AND s.object_key = r.object_key
 WHERE CASE WHEN %(rule_id)s::bigint IS NULL THEN r.enabled ELSE r.id = %(rule_id)s END
 ORDER BY r.id;
