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

-- What a run read stays for a while: a changed mapping is then applied without asking the provider (docs/decisions: kept-payloads).
CREATE VIEW hub.kept_run AS
    SELECT r.id AS run_id, r.connection_id, r.object_key, r.ended_at, (r.witness ->> 'pages')::integer AS pages,
           ARRAY(SELECT l ->> 'source' FROM jsonb_array_elements(r.plan -> 'lines') AS l
                 UNION SELECT a ->> 0 FROM jsonb_array_elements(r.plan -> 'lines') AS l, jsonb_array_elements(coalesce(l -> 'also', '[]')) AS a
                 UNION SELECT f ->> 'field' FROM jsonb_array_elements(coalesce(r.plan -> 'filters', '[]')) AS f) AS sources
      FROM hub.integration_run r
     CROSS JOIN LATERAL (
            SELECT f.id FROM hub.integration_run f
             WHERE f.connection_id = r.connection_id AND f.object_key = r.object_key AND f.plan ->> 'listing' IN ('full', 'sweep')
               AND f.plan ->> 'apply_run_id' IS NULL AND f.state IN ('succeeded', 'succeeded_with_rejects', 'succeeded_partial_mapping')
             ORDER BY f.id DESC LIMIT 1) AS last
     WHERE (r.id = last.id OR r.id > last.id AND r.plan ->> 'listing' IN ('incremental', 'window')) AND r.plan ->> 'apply_run_id' IS NULL
       AND r.state IN ('succeeded', 'succeeded_with_rejects', 'succeeded_partial_mapping') AND r.witness IS NOT NULL;
COMMENT ON VIEW hub.kept_run IS 'per connection and object the last full listing that succeeded and the listings of changes since; sources: provider fields it read';
CREATE INDEX integration_run_whole ON hub.integration_run (connection_id, object_key, id)
    WHERE plan ->> 'listing' IN ('full', 'sweep') AND state IN ('succeeded', 'succeeded_with_rejects', 'succeeded_partial_mapping');

ALTER TABLE hub.quarantine ADD COLUMN mapping text;
COMMENT ON COLUMN hub.quarantine.mapping IS 'digest of the mapping that rejected the record; another mapping tries it again from what is kept';
CREATE VIEW hub.hub_v_quarantine AS
    SELECT q.id, c.provider_key AS provider, c.key AS connection, q.object_key AS object, q.external_id, q.code, q.reason, q.pointer, q.attempts,
           q.first_seen, q.last_seen, q.resolved_at, q.run_id
      FROM hub.quarantine q JOIN hub.integration_connection c ON c.id = q.connection_id;

-- A run with a stale mapping in part ends with a state of its own; the check is extended, not replaced: others extend it, too.
DO $$
DECLARE condition text := (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'integration_run_state_check');
BEGIN
    IF condition NOT LIKE '%succeeded_partial_mapping%' THEN
        EXECUTE 'ALTER TABLE hub.integration_run DROP CONSTRAINT integration_run_state_check, ADD CONSTRAINT integration_run_state_check '
             || replace(condition, '''succeeded_with_rejects''::text', '''succeeded_with_rejects''::text, ''succeeded_partial_mapping''::text');
    END IF;
END $$;
