-- Staging by page, whole: what each element of a page's array is stands beside the body, one column of values each, so that a page is one
-- row to write and to read. The view shows it record by record.
ALTER TABLE hub.sync_body
    ADD COLUMN places       integer[],
    ADD COLUMN external_ids text[],
    ADD COLUMN parent_ids   text[],
    ADD COLUMN stamps       timestamp[],
    ADD COLUMN problems     text[],
    ADD COLUMN older        integer[];
UPDATE hub.sync_body b
   SET places = r.places, external_ids = r.external_ids, parent_ids = r.parent_ids, stamps = r.stamps, problems = r.problems
  FROM (SELECT run_id, page_no, array_agg(n ORDER BY n) AS places, array_agg(external_id ORDER BY n) AS external_ids,
               array_agg(parent_id ORDER BY n) AS parent_ids, array_agg(updated_at ORDER BY n) AS stamps,
               array_agg(CASE WHEN flag LIKE 'malformed: %' THEN substr(flag, 12) END ORDER BY n) AS problems
          FROM hub.sync_record GROUP BY run_id, page_no) AS r
 WHERE b.run_id = r.run_id AND b.page_no = r.page_no;
-- filter_parents of a run under way finds its duplicates again
UPDATE hub.sync_body b
   SET older = d.places
  FROM (SELECT run_id, page_no, array_agg(n ORDER BY n) AS places FROM hub.sync_record WHERE flag = 'duplicate' GROUP BY run_id, page_no) AS d
 WHERE b.run_id = d.run_id AND b.page_no = d.page_no;
DROP TABLE hub.sync_record;

ALTER TABLE hub.sync_body
    ALTER COLUMN places SET NOT NULL,
    ALTER COLUMN external_ids SET NOT NULL,
    ALTER COLUMN parent_ids SET NOT NULL,
    ALTER COLUMN stamps SET NOT NULL,
    -- read far more often than kept
    ALTER COLUMN places SET STORAGE EXTERNAL,
    ALTER COLUMN external_ids SET STORAGE EXTERNAL,
    ALTER COLUMN parent_ids SET STORAGE EXTERNAL,
    ALTER COLUMN stamps SET STORAGE EXTERNAL;
COMMENT ON COLUMN hub.sync_body.places IS 'index in the page''s array, from 0, of each staged element; a listing by stamp leaves out what it had read already';
COMMENT ON COLUMN hub.sync_body.problems IS 'what fetch could not read of an element; null when the page has none';
COMMENT ON COLUMN hub.sync_body.older IS 'places of versions that a newer one in the same listing replaces, by filter_parents';

CREATE VIEW hub.sync_record AS
    SELECT run_id, page_no, n, external_id, parent_id, updated_at,
           CASE WHEN n = ANY (older) THEN 'duplicate' WHEN parent_id IS NOT NULL THEN 'child' ELSE 'malformed: ' || problem END AS flag
      FROM (SELECT run_id, page_no, older, unnest(places) AS n, unnest(external_ids) AS external_id, unnest(parent_ids) AS parent_id,
                   unnest(stamps) AS updated_at, unnest(problems) AS problem
              FROM hub.sync_body) AS r;
COMMENT ON VIEW hub.sync_record IS 'staged records; flag: null = root to map, child, malformed: <problem>, duplicate';
