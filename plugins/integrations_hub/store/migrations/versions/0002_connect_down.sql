ALTER TABLE hub.oauth_flow DROP CONSTRAINT oauth_flow_spent_keeps_no_verifier;
DELETE FROM hub.oauth_flow WHERE verifier_ciphertext IS NULL;
ALTER TABLE hub.oauth_flow
    DROP COLUMN confirm_company_change,
    ALTER COLUMN verifier_key_id SET NOT NULL,
    ALTER COLUMN verifier_ciphertext SET NOT NULL;
-- the former release would send stored client credentials as if they were a refresh token
DELETE FROM hub.encrypted_secret s USING hub.integration_connection c WHERE c.id = s.connection_id AND c.flow = 'client_credentials';
UPDATE hub.integration_connection SET is_active = false, auth_state = 'new' WHERE flow = 'client_credentials';
ALTER TABLE hub.integration_connection DROP COLUMN flow, DROP COLUMN missing_scopes;
