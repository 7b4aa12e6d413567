ALTER TABLE hub.integration_rule DROP COLUMN scheduled_since;
