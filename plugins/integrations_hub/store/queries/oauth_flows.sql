-- name: purge
-- Flows that ended long ago.
DELETE FROM hub.oauth_flow WHERE expires_at < clock_timestamp() - interval '1 day';

-- name: start
-- A flow that one browser of one actor may finish once.
INSERT INTO hub.oauth_flow (nonce_hash, connection_id, actor, cookie_hash, verifier_key_id, verifier_ciphertext, redirect_uri,
                            confirm_company_change, expires_at)
VALUES (%(nonce_hash)s, %(connection_id)s, %(actor)s, %(cookie_hash)s, %(key_id)s, %(ciphertext)s, %(redirect_uri)s,
        %(confirm_company_change)s, clock_timestamp() + make_interval(secs => %(ttl_s)s));

-- name: consume
-- One winner of any number of parallel callbacks; the verifier leaves the table with it.
WITH mine AS (
    SELECT nonce_hash, verifier_key_id, verifier_ciphertext FROM hub.oauth_flow
     WHERE nonce_hash = %(nonce_hash)s AND consumed_at IS NULL AND expires_at > clock_timestamp()
       AND actor = %(actor)s AND cookie_hash = %(cookie_hash)s
       FOR UPDATE
)
UPDATE hub.oauth_flow f SET consumed_at = clock_timestamp(), verifier_key_id = NULL, verifier_ciphertext = NULL
  FROM mine WHERE f.nonce_hash = mine.nonce_hash
RETURNING f.connection_id, mine.verifier_key_id, mine.verifier_ciphertext, f.redirect_uri, f.confirm_company_change;

-- name: explain
-- Why a flow was not consumed.
SELECT connection_id, actor, cookie_hash, consumed_at IS NOT NULL AS spent
  FROM hub.oauth_flow WHERE nonce_hash = %(nonce_hash)s;

-- name: strangers
-- Refused callbacks that nobody here started, in the last minute: the audit does not grow with a flood of them.
SELECT count(*) AS n
  FROM (SELECT at, actor, action FROM hub.audit_log ORDER BY seq DESC LIMIT 60) recent
 WHERE actor = 'anonymous' AND action = 'connection.callback_refused' AND at > clock_timestamp() - interval '1 min';
