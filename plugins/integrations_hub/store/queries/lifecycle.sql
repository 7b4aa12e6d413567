-- name: set_disabled
-- The admin's switch; no row when it stands so already.
UPDATE hub.integration_connection
   SET is_disabled = %(disabled)s, disabled_at = CASE WHEN %(disabled)s THEN clock_timestamp() END, updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND deleted_at IS NULL AND is_disabled <> %(disabled)s
RETURNING *;

-- name: lock
-- The connection and its sealed token pair; a refresh that ends meanwhile waits here.
SELECT c.*, s.key_id AS token_key_id, s.ciphertext AS token_ciphertext
  FROM hub.integration_connection c
  LEFT JOIN hub.encrypted_secret s ON s.connection_id = c.id AND s.purpose = 'oauth_tokens'
 WHERE c.id = %(connection_id)s AND c.deleted_at IS NULL
   FOR UPDATE OF c;

-- name: disconnect
-- Forgets that it was authorised. The version moves on and the claim goes, so a refresh under way can't bring it back.
UPDATE hub.integration_connection
   SET is_active = false, auth_state = 'new', needs_reauth = false, reauth_reason = NULL, degraded_since = NULL,
       refresh_claim = NULL, refresh_claim_until = NULL, refresh_intent = NULL, refresh_intent_at = NULL,
       refresh_unknown_since = NULL, auth_code = NULL, auth_detail = NULL, is_locked = false, instance_id = NULL,
       token_version = token_version + 1, token_expires_at = NULL,
       disconnected_at = clock_timestamp(), updated_at = clock_timestamp()
 WHERE id = %(connection_id)s
RETURNING *;

-- name: forget_tokens
-- The token pair.
DELETE FROM hub.encrypted_secret WHERE connection_id = %(connection_id)s AND purpose = 'oauth_tokens';

-- name: forget_flows
-- Sign-ins under way: one that began before must not connect again.
DELETE FROM hub.oauth_flow WHERE connection_id = %(connection_id)s;

-- name: holdings
-- What hangs on a connection.
SELECT (SELECT count(*) FROM hub.integration_rule r WHERE r.connection_id = c.id) AS rules,
       (SELECT coalesce(array_agg('hub__' || c.provider_key || '__' || c.key || '__' || r.object_key ORDER BY r.id), '{}')
          FROM hub.integration_rule r WHERE r.connection_id = c.id AND r.enabled) AS enabled_dags,
       (SELECT count(*) FROM hub.integration_external_link l WHERE l.connection_id = c.id) AS links,
       (SELECT count(*) FROM hub.integration_state s WHERE s.connection_id = c.id) AS states,
       (SELECT count(*) FROM hub.integration_setting s WHERE s.connection_id = c.id) AS settings,
       (SELECT count(*) FROM hub.quarantine q WHERE q.connection_id = c.id AND q.resolved_at IS NULL) AS quarantined,
       (SELECT count(*) FROM hub.integration_run r WHERE r.connection_id = c.id) AS runs,
       (SELECT min(l.run_id) FROM hub.integration_lease l
         WHERE split_part(l.key, ':', 1) = c.provider_key AND split_part(l.key, ':', 2) = c.key
           AND l.run_id IS NOT NULL AND l.expires_at >= clock_timestamp()) AS working_run
  FROM hub.integration_connection c WHERE c.id = %(connection_id)s AND c.deleted_at IS NULL;

-- name: make_leases
-- So that a run that begins just now meets our lock, whichever object it is of.
INSERT INTO hub.integration_lease (key) SELECT unnest(%(keys)s::text[]) ON CONFLICT (key) DO NOTHING;

-- name: lock_leases
-- Taken like by every writer of links; a run that works holds one of them.
SELECT key FROM hub.integration_lease
 WHERE split_part(key, ':', 1) = %(provider_key)s AND split_part(key, ':', 2) = %(key)s ORDER BY key FOR UPDATE;

-- name: take_leases
-- Whatever an orphan of an earlier run still writes is refused from now on.
UPDATE hub.integration_lease SET fence = fence + 1, run_id = NULL, stage = NULL, expires_at = '-infinity'
 WHERE split_part(key, ':', 1) = %(provider_key)s AND split_part(key, ':', 2) = %(key)s;

-- name: delete_links
-- The local rows stay.
DELETE FROM hub.integration_external_link WHERE connection_id = %(connection_id)s;

-- name: delete_rest
-- Secrets, sign-ins under way, marks, saved mappings, quarantine: every table whose rows go with their connection.
SELECT hub.forget_connection(%(connection_id)s);

-- name: switch_rules_off
-- Rules and their revisions stay: runs name them.
UPDATE hub.integration_rule SET enabled = false, updated_at = clock_timestamp(), updated_by = %(actor)s
 WHERE connection_id = %(connection_id)s AND enabled;

-- name: cancel_runs
-- Runs that were asked for and never began.
UPDATE hub.integration_run
   SET state = 'cancelled', ended_at = clock_timestamp(), error_code = 'DISCONNECTED', error_text = 'The connection was deleted.',
       error_hint = 'Nothing to do.'
 WHERE connection_id = %(connection_id)s AND ended_at IS NULL;

-- name: bury
-- The row stays as the name of its runs and is never used again.
UPDATE hub.integration_connection
   SET deleted_at = clock_timestamp(), secret_ref = NULL, headers = '{}', limits = '{}', filter_probes = '{}'
 WHERE id = %(connection_id)s;

-- name: tests
-- Connection tests of the last minute, and seconds until the oldest of them is over.
SELECT count(*) AS n, coalesce(extract(epoch FROM min(at) + interval '1 min' - clock_timestamp()), 0)::float8 AS wait_s
  FROM hub.audit_log
 WHERE target = %(target)s AND action = 'connection.tested' AND at > clock_timestamp() - interval '1 min';
