-- Since when a rule is enabled with its schedule: slots before that were never its own, so none of them is overdue.
ALTER TABLE hub.integration_rule ADD COLUMN scheduled_since timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE hub.integration_rule SET scheduled_since = updated_at;
COMMENT ON COLUMN hub.integration_rule.scheduled_since IS 'when it was last enabled or disabled, or its schedule changed';
