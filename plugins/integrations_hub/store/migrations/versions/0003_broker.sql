-- Token broker: a write-ahead intent for every refresh, why a connection is in trouble, and which Hub its tokens belong to.

ALTER TABLE hub.integration_connection
    ADD COLUMN token_life_s          integer,
    ADD COLUMN refresh_intent        text,
    ADD COLUMN refresh_intent_at     timestamptz,
    ADD COLUMN refresh_unknown_since timestamptz,
    ADD COLUMN auth_code             text,
    ADD COLUMN auth_detail           text,
    ADD COLUMN instance_id           text,
    ADD COLUMN is_locked             boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN hub.integration_connection.token_life_s IS 'seconds the access token was given; a short-lived one is refreshed in its last quarter only';
COMMENT ON COLUMN hub.integration_connection.refresh_intent IS 'token version and hash of the refresh token being spent, written before the call, closed by the save; open = nobody knows whether it was spent';
COMMENT ON COLUMN hub.integration_connection.refresh_unknown_since IS 'start of a refresh whose outcome nobody learned';
COMMENT ON COLUMN hub.integration_connection.auth_code IS 'code of the last trouble with the identity server; null when the last answer was good';
COMMENT ON COLUMN hub.integration_connection.instance_id IS 'HUB_INSTANCE_ID of the Hub that holds these tokens; any other Hub leaves them alone until an admin adopts them';
COMMENT ON COLUMN hub.integration_connection.is_locked IS 'this database runs under another HUB_INSTANCE_ID than the tokens belong to: it was copied or restored';

CREATE VIEW hub.hub_v_connection AS
    SELECT c.id, c.provider_key AS provider, c.key AS connection, c.auth_state AS state, c.is_active, c.is_disabled, c.is_locked,
           c.needs_reauth, c.reauth_reason AS reason, c.auth_code, c.auth_detail, c.degraded_since, c.last_ok_at,
           CASE WHEN c.refresh_claim_until > clock_timestamp() AND c.refresh_claim IS NOT NULL THEN c.refresh_intent_at END AS refresh_in_flight_since,
           coalesce(c.refresh_unknown_since, CASE WHEN c.refresh_claim_until <= clock_timestamp() AND c.refresh_claim IS NOT NULL
                                                   AND c.refresh_intent IS NOT NULL THEN c.refresh_intent_at END) AS refresh_unknown_since,
           c.token_version, c.token_expires_at, s.key_id, c.instance_id
      FROM hub.integration_connection c
      LEFT JOIN hub.encrypted_secret s ON s.connection_id = c.id AND s.purpose = 'oauth_tokens';
