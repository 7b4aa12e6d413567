-- name: read
-- A connection, its sealed token pair (null before the first consent) and the version a task saw rejected.
SELECT c.*, s.key_id AS token_key_id, s.ciphertext AS token_ciphertext
  FROM hub.integration_connection c
  LEFT JOIN hub.encrypted_secret s ON s.connection_id = c.id AND s.purpose = 'oauth_tokens'
 WHERE c.id = %(connection_id)s;

-- name: claim
-- Win the right to spend the refresh token of one version, and write down that we are about to (the intent, before the call).
-- An intent that is still open for the same token belongs to a refresh whose outcome nobody learned.
UPDATE hub.integration_connection
   SET refresh_claim = %(claim)s, refresh_claim_until = clock_timestamp() + make_interval(secs => %(ttl_s)s),
       refresh_unknown_since = CASE WHEN refresh_intent = %(intent)s THEN coalesce(refresh_unknown_since, refresh_intent_at) END,
       refresh_intent = %(intent)s, refresh_intent_at = clock_timestamp()
 WHERE id = %(connection_id)s AND token_version = %(version)s
   AND (refresh_claim_until IS NULL OR refresh_claim_until < clock_timestamp())
   -- whoever read the row before it was refused, disabled or taken away must not ask again
   AND NOT is_disabled AND reauth_reason IS DISTINCT FROM 'grant_rejected'
   AND EXISTS (SELECT 1 FROM hub.encrypted_secret s
                WHERE s.connection_id = %(connection_id)s AND s.purpose = 'oauth_tokens')
RETURNING refresh_unknown_since;

-- name: save_refreshed
-- Compare-and-set: only the pair that came for exactly this version and refresh token replaces it. The claim is not asked:
-- whoever got the answer holds the only living pair, however long the database was away.
WITH mine AS (
    UPDATE hub.integration_connection c
       SET token_version = token_version + 1, token_expires_at = clock_timestamp() + make_interval(secs => %(expires_in_s)s),
           token_life_s = %(life_s)s, api_base_url = coalesce(%(api_base_url)s, api_base_url),
           refresh_claim = NULL, refresh_claim_until = NULL,
           refresh_intent = NULL, refresh_intent_at = NULL, refresh_unknown_since = NULL,
           auth_state = 'connected', degraded_since = NULL, last_ok_at = clock_timestamp(), auth_code = NULL, auth_detail = NULL,
           needs_reauth = false, reauth_reason = NULL, instance_id = coalesce(%(instance_id)s, instance_id),
           updated_at = clock_timestamp()
     WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_intent IS NOT DISTINCT FROM %(intent)s
       AND EXISTS (SELECT 1 FROM hub.encrypted_secret s WHERE s.connection_id = c.id AND s.purpose = 'oauth_tokens')
    RETURNING id
)
UPDATE hub.encrypted_secret s
   SET key_id = %(key_id)s, ciphertext = %(ciphertext)s, version = s.version + 1, updated_at = clock_timestamp()
  FROM mine WHERE s.connection_id = mine.id AND s.purpose = 'oauth_tokens';

-- name: connect
-- First consent or reconnect; the version goes on counting, so an old rejection never hits the new token.
UPDATE hub.integration_connection
   SET flow = %(flow)s, missing_scopes = %(missing_scopes)s,
       token_version = token_version + 1, token_expires_at = clock_timestamp() + make_interval(secs => %(expires_in_s)s),
       token_life_s = %(expires_in_s)s, api_base_url = %(api_base_url)s, company_id = %(company_id)s, connected_by = %(actor)s,
       is_active = true, refresh_claim = NULL, refresh_claim_until = NULL,
       refresh_intent = NULL, refresh_intent_at = NULL, refresh_unknown_since = NULL,
       auth_state = 'connected', degraded_since = NULL, auth_code = NULL, auth_detail = NULL,
       last_ok_at = clock_timestamp(), needs_reauth = false, reauth_reason = NULL,
       instance_id = coalesce(%(instance_id)s, instance_id), is_locked = false, updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND deleted_at IS NULL
RETURNING *;

-- name: company_of
-- The company so far, and whether a run reads it now; locked, so that two consents take turns.
SELECT c.company_id, EXISTS (SELECT 1 FROM hub.integration_run r WHERE r.connection_id = c.id AND r.state = 'running') AS busy
  FROM hub.integration_connection c WHERE c.id = %(connection_id)s FOR UPDATE;

-- name: forget_marks
-- A mark of the old generation is not read any more: the next run of every rule reads everything.
UPDATE hub.integration_rule SET generation = generation + 1, updated_at = clock_timestamp() WHERE connection_id = %(connection_id)s;

-- name: active_twin
-- The connection that stands in the way of another active one.
SELECT t.key FROM hub.integration_connection t JOIN hub.integration_connection c
    ON c.provider_key = t.provider_key AND c.environment = t.environment AND c.id <> t.id
 WHERE c.id = %(connection_id)s AND t.company_id = %(company_id)s AND t.is_active;

-- name: save_secret
-- The sealed token pair of a connection.
INSERT INTO hub.encrypted_secret (connection_id, purpose, key_id, ciphertext)
VALUES (%(connection_id)s, 'oauth_tokens', %(key_id)s, %(ciphertext)s)
ON CONFLICT (connection_id, purpose) DO UPDATE
   SET key_id = excluded.key_id, ciphertext = excluded.ciphertext, version = hub.encrypted_secret.version + 1,
       updated_at = clock_timestamp();

-- name: fail_for_good
-- The identity server refused grant or app: a person must act. The intent stays open: should the lost answer still come, it heals.
UPDATE hub.integration_connection c
   SET refresh_claim = NULL, refresh_claim_until = NULL, auth_state = 'needs_reauth', needs_reauth = true,
       reauth_reason = 'grant_rejected', auth_code = %(code)s, auth_detail = %(detail)s,
       degraded_since = coalesce(degraded_since, clock_timestamp()), updated_at = clock_timestamp(),
       is_disabled = is_disabled OR EXISTS (
           SELECT 1 FROM hub.integration_rule r
            WHERE r.connection_id = c.id AND r.enabled AND r.body ->> 'onRejectedGrant' = 'disable')
 WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s
RETURNING provider_key, key, is_disabled;

-- name: misplaced
-- The stored pair was sealed for another connection: somebody moved it in the database. Noted once.
UPDATE hub.integration_connection
   SET auth_state = 'needs_reauth', needs_reauth = true, reauth_reason = 'grant_rejected', auth_code = %(code)s, auth_detail = %(detail)s,
       degraded_since = coalesce(degraded_since, clock_timestamp()), updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND token_version = %(version)s AND NOT needs_reauth
RETURNING provider_key, key;

-- name: fail_for_now
-- Tokens are kept; the next try waits as long as half the trouble lasts (30 s to 15 min), or as long as the server says.
-- After 24 h a person is asked (D15). An outcome that stays unknown keeps its intent open.
UPDATE hub.integration_connection
   SET refresh_claim = NULL,
       refresh_claim_until = clock_timestamp() + greatest(make_interval(secs => %(wait_s)s), least(interval '15 min',
           greatest(interval '30 s', (clock_timestamp() - coalesce(degraded_since, clock_timestamp())) / 2))),
       refresh_unknown_since = CASE WHEN %(unknown)s THEN coalesce(refresh_unknown_since, refresh_intent_at)
                                    ELSE refresh_unknown_since END,
       refresh_intent = CASE WHEN %(unknown)s OR refresh_unknown_since IS NOT NULL THEN refresh_intent END,
       auth_state = CASE WHEN degraded_since < clock_timestamp() - interval '24 h' THEN 'needs_reauth' ELSE 'degraded' END,
       needs_reauth = coalesce(degraded_since < clock_timestamp() - interval '24 h', false),
       reauth_reason = CASE WHEN degraded_since < clock_timestamp() - interval '24 h' THEN 'unreachable' END,
       auth_code = %(code)s, auth_detail = %(detail)s,
       degraded_since = coalesce(degraded_since, clock_timestamp()), updated_at = clock_timestamp()
 WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s;

-- name: give_back
-- The call was never made: nothing happened, the next one may try at once. An earlier unknown outcome stays one.
UPDATE hub.integration_connection
   SET refresh_claim = NULL, refresh_claim_until = NULL,
       refresh_intent = CASE WHEN refresh_unknown_since IS NOT NULL THEN refresh_intent END
 WHERE id = %(connection_id)s AND token_version = %(version)s AND refresh_claim = %(claim)s;

-- name: adopt
-- An admin decides that this Hub holds the tokens from now on.
WITH old AS (
    SELECT id, instance_id FROM hub.integration_connection WHERE id = %(connection_id)s FOR UPDATE
)
UPDATE hub.integration_connection c
   SET instance_id = %(instance_id)s, is_locked = false, updated_at = clock_timestamp()
  FROM old
 WHERE c.id = old.id AND (c.is_locked OR old.instance_id <> %(instance_id)s)
RETURNING c.provider_key, c.key, old.instance_id AS held_by;

-- name: lock_foreign
-- Show which connections belong to another Hub; one that came home is free again.
UPDATE hub.integration_connection
   SET is_locked = (instance_id IS NOT NULL AND instance_id <> %(instance_id)s), updated_at = clock_timestamp()
 WHERE is_locked <> (instance_id IS NOT NULL AND instance_id <> %(instance_id)s)
RETURNING provider_key, key, is_locked;

-- name: reject
-- A task got 401 with this version; later versions are not touched by it.
UPDATE hub.integration_connection SET rejected_version = greatest(rejected_version, %(version)s)
 WHERE id = %(connection_id)s AND token_version >= %(version)s;
