DROP TABLE hub.sync_body;
DELETE FROM hub.sync_page;
DELETE FROM hub.sync_record;
ALTER TABLE hub.sync_record ADD COLUMN payload text NOT NULL;
COMMENT ON COLUMN hub.sync_record.payload IS 'the requested fields as the provider sent them (JSON object)';
COMMENT ON COLUMN hub.sync_record.n IS NULL;
COMMENT ON COLUMN hub.sync_record.flag IS 'null = root to map; child, duplicate, out_of_scope are set by filter_parents';
