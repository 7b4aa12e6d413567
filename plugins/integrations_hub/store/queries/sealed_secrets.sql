-- name: page
-- Sealed secrets by id, whatever key wrote them.
SELECT 'secret' AS kind, id::text AS ref, version, key_id, ciphertext
  FROM hub.encrypted_secret WHERE id > %(after)s::bigint ORDER BY id LIMIT %(limit)s;

-- name: flows
-- Verifiers of sign-ins that a browser may still finish; the others are never opened again.
SELECT 'flow' AS kind, nonce_hash AS ref, 0 AS version, verifier_key_id AS key_id, verifier_ciphertext AS ciphertext
  FROM hub.oauth_flow WHERE consumed_at IS NULL AND expires_at > clock_timestamp() ORDER BY nonce_hash;

-- name: replace_secret
-- Compare-and-set on the version: whoever wrote a newer secret meanwhile wins.
UPDATE hub.encrypted_secret SET key_id = %(key_id)s, ciphertext = %(ciphertext)s, version = version + 1
 WHERE id = %(ref)s::bigint AND version = %(version)s;

-- name: replace_flow
-- Compare-and-set on the sealed text itself: a flow has no version.
UPDATE hub.oauth_flow SET verifier_key_id = %(key_id)s, verifier_ciphertext = %(ciphertext)s
 WHERE nonce_hash = %(ref)s AND verifier_ciphertext = %(old)s;

-- name: forget_secret
-- A secret that no key opens any more.
DELETE FROM hub.encrypted_secret WHERE id = %(ref)s::bigint AND version = %(version)s RETURNING connection_id;

-- name: forget_flow
-- A sign-in that nobody can finish any more.
DELETE FROM hub.oauth_flow WHERE nonce_hash = %(ref)s AND verifier_ciphertext = %(old)s RETURNING connection_id;

-- name: needs_reauth
-- Only a person can bring the tokens back.
UPDATE hub.integration_connection
   SET needs_reauth = true, reauth_reason = 'secret_lost', auth_state = 'needs_reauth',
       refresh_claim = NULL, refresh_claim_until = NULL, updated_at = clock_timestamp()
 WHERE id = ANY(%(connection_ids)s);
