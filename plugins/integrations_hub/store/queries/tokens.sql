-- name: read
-- A connection, its sealed token pair (null before the first consent) and the version a task saw rejected.
SELECT c.*, s.key_id AS token_key_id, s.ciphertext AS token_ciphertext
  FROM hub.integration_connection c
  LEFT JOIN hub.encrypted_secret s ON s.connection_id = c.id AND s.purpose = 'oauth_tokens'
 WHERE c.id = %(connection_id)s;

-- name: claim
-- Win the right to refresh one version; a claim that lapsed with its owner still named has an unknown outcome.
WITH old AS (
    SELECT id, refresh_claim IS NOT NULL AS interrupted FROM hub.integration_connection
     WHERE id = %(connection_id)s FOR UPDATE
)
UPDATE hub.integration_connection c
   SET refresh_claim = %(claim)s, refresh_claim_until = clock_timestamp() + make_interval(secs => %(ttl_s)s)
  FROM old, hub.encrypted_secret s
 WHERE c.id = old.id AND s.connection_id = c.id AND s.purpose = 'oauth_tokens'
   AND c.token_version = %(version)s
   AND (c.refresh_claim_until IS NULL OR c.refresh_claim_until < clock_timestamp())
RETURNING c.token_version, s.key_id, s.ciphertext, old.interrupted;

-- name: save_refreshed
-- Compare-and-set: only the holder of the claim on this version replaces the pair.
WITH mine AS (
    UPDATE hub.integration_connection
       SET token_version = token_version + 1, token_expires_at = clock_timestamp() + make_interval(secs => %(expires_in_s)s),
           api_base_url = coalesce(%(api_base_url)s, api_base_url), refresh_claim = NULL, refresh_claim_until = NULL,
           auth_state = 'connected', degraded_since = NULL, last_ok_at = clock_timestamp(),
           needs_reauth = false, reauth_reason = NULL, updated_at = clock_timestamp()
     WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s
    RETURNING id
)
UPDATE hub.encrypted_secret s
   SET key_id = %(key_id)s, ciphertext = %(ciphertext)s, version = s.version + 1, updated_at = clock_timestamp()
  FROM mine WHERE s.connection_id = mine.id AND s.purpose = 'oauth_tokens';

-- name: connect
-- First consent or reconnect; the version goes on counting, so an old rejection never hits the new token.
UPDATE hub.integration_connection
   SET token_version = token_version + 1, token_expires_at = clock_timestamp() + make_interval(secs => %(expires_in_s)s),
       api_base_url = %(api_base_url)s, company_id = %(company_id)s, connected_by = %(actor)s, is_active = true,
       refresh_claim = NULL, refresh_claim_until = NULL, auth_state = 'connected', degraded_since = NULL,
       last_ok_at = clock_timestamp(), needs_reauth = false, reauth_reason = NULL, updated_at = clock_timestamp()
 WHERE id = %(connection_id)s
RETURNING *;

-- name: save_secret
-- The sealed token pair of a connection.
INSERT INTO hub.encrypted_secret (connection_id, purpose, key_id, ciphertext)
VALUES (%(connection_id)s, 'oauth_tokens', %(key_id)s, %(ciphertext)s)
ON CONFLICT (connection_id, purpose) DO UPDATE
   SET key_id = excluded.key_id, ciphertext = excluded.ciphertext, version = hub.encrypted_secret.version + 1,
       updated_at = clock_timestamp();

-- name: audit
-- The entry of a consent, in the transaction of the consent.
INSERT INTO hub.audit_log (actor, action, target, detail, request_id)
VALUES (%(actor)s, %(action)s, %(target)s, %(detail)s, %(request_id)s);

-- name: fail_for_good
-- The identity server refused the grant: a person must reconnect.
UPDATE hub.integration_connection
   SET refresh_claim = NULL, refresh_claim_until = NULL, auth_state = 'needs_reauth', needs_reauth = true,
       reauth_reason = %(reason)s, degraded_since = coalesce(degraded_since, clock_timestamp()), updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s;

-- name: fail_for_now
-- Tokens are kept; the next try waits as long as half the trouble lasts (30 s to 15 min). After 24 h a person is asked (D15).
UPDATE hub.integration_connection
   SET refresh_claim = NULL,
       refresh_claim_until = clock_timestamp() + least(interval '15 min', greatest(interval '30 s',
           (clock_timestamp() - coalesce(degraded_since, clock_timestamp())) / 2)),
       auth_state = CASE WHEN degraded_since < clock_timestamp() - interval '24 h' THEN 'needs_reauth' ELSE 'degraded' END,
       needs_reauth = coalesce(degraded_since < clock_timestamp() - interval '24 h', false),
       reauth_reason = CASE WHEN degraded_since < clock_timestamp() - interval '24 h' THEN 'unreachable' END,
       degraded_since = coalesce(degraded_since, clock_timestamp()), updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s;

-- name: reject
-- A task got 401 with this version; later versions are not touched by it.
UPDATE hub.integration_connection SET rejected_version = greatest(rejected_version, %(version)s)
 WHERE id = %(connection_id)s AND token_version >= %(version)s;
