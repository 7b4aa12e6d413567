-- Staging by page: the body as it came is one value; sync_record says what each element of its array is.

-- Staged records without a body could not be mapped: a run under way ends as staging_lost and its next run reads again.
DELETE FROM hub.sync_page;
DELETE FROM hub.sync_record;
ALTER TABLE hub.sync_record DROP COLUMN payload;
COMMENT ON COLUMN hub.sync_record.n IS 'index in the page''s array, from 0; a listing by stamp leaves out what it had read already';
COMMENT ON COLUMN hub.sync_record.flag IS 'null = root to map; child and malformed: <problem> by fetch, duplicate by filter_parents';

CREATE UNLOGGED TABLE hub.sync_body (
    run_id  bigint NOT NULL,
    page_no integer NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (run_id, page_no)
);
ALTER TABLE hub.sync_body ALTER COLUMN body SET STORAGE EXTERNAL;
COMMENT ON TABLE hub.sync_body IS 'pages as the provider sent them (JSON arrays of the requested fields); only of pages that staged a record';
