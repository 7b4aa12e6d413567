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
-- The next revision.
UPDATE hub.integration_rule
   SET revision = revision + 1, body = %(body)s, updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE id = %(rule_id)s
RETURNING id, revision;

-- name: keep_revision
-- History: every revision that was ever in force.
INSERT INTO hub.integration_rule_revision (rule_id, revision, body, saved_by)
VALUES (%(rule_id)s, %(revision)s, %(body)s, %(actor)s);

-- name: set_enabled
-- The switch; nothing else changes.
UPDATE hub.integration_rule
   SET enabled = %(enabled)s, updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE id = %(rule_id)s;

-- name: get
-- A rule with its connection's names.
SELECT r.id, r.connection_id, c.key AS connection_key, c.label AS connection_label, c.provider_key, r.object_key,
       r.revision, r.generation, r.enabled, r.hold_reason, r.body
  FROM hub.integration_rule r JOIN hub.integration_connection c ON c.id = r.connection_id
 WHERE r.id = %(rule_id)s;

-- name: list_enabled
-- Every enabled rule, for parsing. A connection that waits for a person holds its schedules.
SELECT r.id, r.connection_id, c.key AS connection_key, c.label AS connection_label, c.provider_key, r.object_key,
       r.revision, r.generation, r.enabled, r.body,
       coalesce(r.hold_reason,
           CASE WHEN c.is_disabled THEN 'connection disabled'
                WHEN c.needs_reauth AND c.reauth_reason = 'grant_rejected' THEN 'needs_reauth: grant_rejected' END) AS hold_reason
  FROM hub.integration_rule r JOIN hub.integration_connection c ON c.id = r.connection_id
 WHERE r.enabled
 ORDER BY r.id;
