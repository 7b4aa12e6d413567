DROP INDEX hub.integration_run_object;
ALTER TABLE hub.integration_run DROP COLUMN stage_times;
DROP TRIGGER integration_state_revision ON hub.integration_state;
DROP FUNCTION hub.next_revision();
ALTER TABLE hub.integration_state DROP COLUMN revision;
ALTER TABLE hub.integration_rule_revision DROP COLUMN reread, DROP COLUMN generation;
