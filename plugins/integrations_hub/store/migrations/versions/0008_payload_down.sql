DROP VIEW hub.hub_v_quarantine;
DROP VIEW hub.kept_run;
DROP INDEX hub.integration_run_whole;
ALTER TABLE hub.quarantine DROP COLUMN mapping;
UPDATE hub.integration_run SET state = 'succeeded' WHERE state = 'succeeded_partial_mapping';
DO $$
DECLARE condition text := (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'integration_run_state_check');
BEGIN
    EXECUTE 'ALTER TABLE hub.integration_run DROP CONSTRAINT integration_run_state_check, ADD CONSTRAINT integration_run_state_check '
         || replace(condition, ', ''succeeded_partial_mapping''::text', '');
END $$;

DROP TABLE hub.sync_body;
DELETE FROM hub.sync_page;
DELETE FROM hub.sync_record;
ALTER TABLE hub.sync_record ADD COLUMN payload text NOT NULL;
COMMENT ON COLUMN hub.sync_record.payload IS 'the requested fields as the provider sent them (JSON object)';
COMMENT ON COLUMN hub.sync_record.n IS NULL;
COMMENT ON COLUMN hub.sync_record.flag IS 'null = root to map; child, duplicate, out_of_scope are set by filter_parents';
