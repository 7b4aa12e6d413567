-- name: purge
-- Flows that ended long ago.
DELETE FROM hub.oauth_flow WHERE expires_at < clock_timestamp() - interval '1 day';

-- name: start
-- A flow that one browser of one actor may finish once.
INSERT INTO hub.oauth_flow (nonce_hash, connection_id, actor, cookie_hash, verifier_key_id, verifier_ciphertext, redirect_uri, expires_at)
VALUES (%(nonce_hash)s, %(connection_id)s, %(actor)s, %(cookie_hash)s, %(key_id)s, %(ciphertext)s, %(redirect_uri)s,
        clock_timestamp() + make_interval(secs => %(ttl_s)s));

-- name: consume
-- One winner of any number of parallel callbacks.
UPDATE hub.oauth_flow SET consumed_at = clock_timestamp()
 WHERE nonce_hash = %(nonce_hash)s AND consumed_at IS NULL AND expires_at > clock_timestamp()
   AND actor = %(actor)s AND cookie_hash = %(cookie_hash)s
RETURNING connection_id, verifier_key_id, verifier_ciphertext, redirect_uri;
