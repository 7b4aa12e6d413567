CREATE UNLOGGED TABLE hub.sync_record_rows (
    run_id      bigint NOT NULL,
    page_no     integer NOT NULL,
    n           integer NOT NULL,
    external_id text,
    parent_id   text,
    updated_at  timestamp,
    flag        text
);
INSERT INTO hub.sync_record_rows SELECT run_id, page_no, n, external_id, parent_id, updated_at, flag FROM hub.sync_record;
DROP VIEW hub.sync_record;
ALTER TABLE hub.sync_record_rows RENAME TO sync_record;
CREATE INDEX sync_record_place ON hub.sync_record (run_id, page_no, n);
COMMENT ON COLUMN hub.sync_record.n IS 'index in the page''s array, from 0; a listing by stamp leaves out what it had read already';
COMMENT ON COLUMN hub.sync_record.flag IS 'null = root to map; child and malformed: <problem> by fetch, duplicate by filter_parents';
ALTER TABLE hub.sync_body
    DROP COLUMN places,
    DROP COLUMN external_ids,
    DROP COLUMN parent_ids,
    DROP COLUMN stamps,
    DROP COLUMN problems,
    DROP COLUMN older;
