-- How a connection gets its tokens, what the provider did not grant, and what an admin confirmed when a consent began.
ALTER TABLE hub.integration_connection
    ADD COLUMN flow text NOT NULL DEFAULT 'authorization_code' CHECK (flow IN ('authorization_code', 'client_credentials')),
    ADD COLUMN missing_scopes text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN hub.integration_connection.flow IS 'how it got its tokens; with client_credentials the sealed pair holds the credentials where the refresh token stands';
COMMENT ON COLUMN hub.integration_connection.missing_scopes IS 'scopes that were asked for and not granted at the last connect';

ALTER TABLE hub.oauth_flow
    ADD COLUMN confirm_company_change boolean NOT NULL DEFAULT false,
    ALTER COLUMN verifier_key_id DROP NOT NULL,
    ALTER COLUMN verifier_ciphertext DROP NOT NULL;
UPDATE hub.oauth_flow SET verifier_key_id = NULL, verifier_ciphertext = NULL WHERE consumed_at IS NOT NULL;
ALTER TABLE hub.oauth_flow ADD CONSTRAINT oauth_flow_spent_keeps_no_verifier
    CHECK ((consumed_at IS NULL) = (verifier_ciphertext IS NOT NULL));
COMMENT ON CONSTRAINT oauth_flow_spent_keeps_no_verifier ON hub.oauth_flow IS 'the callback that spends a flow takes its verifier with it';
