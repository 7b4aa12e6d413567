-- What earlier runs read and is still there, for a changed mapping: no request to the provider.

-- name: kept_runs
-- The last full listing and the listings of changes since, with how many of their pages are there.
SELECT k.run_id, k.pages, k.sources, (SELECT count(*) FROM hub.sync_page p WHERE p.run_id = k.run_id) AS found
  FROM hub.kept_run k
 WHERE k.connection_id = %(connection_id)s AND k.object_key = %(object_key)s
 ORDER BY k.run_id;

-- name: stage_bodies
-- Pages of these runs as pages of this one, in the order in which they were read; duplicates are found anew.
INSERT INTO hub.sync_body (run_id, page_no, body, places, external_ids, parent_ids, stamps, problems)
SELECT %(run_id)s, t.place, b.body, b.places, b.external_ids, b.parent_ids, b.stamps, b.problems
  FROM (SELECT run_id, page_no, row_number() OVER (ORDER BY run_id, page_no) AS place FROM hub.sync_page WHERE run_id = ANY(%(kept)s)) AS t
  JOIN hub.sync_body b USING (run_id, page_no);

-- name: stage_pages
-- Their page ledger.
INSERT INTO hub.sync_page (run_id, page_no, n, children, digest, fence)
SELECT %(run_id)s, row_number() OVER (ORDER BY run_id, page_no), n, children, digest, %(fence)s
  FROM hub.sync_page WHERE run_id = ANY(%(kept)s);

-- name: last_page
-- Number of the last page staged.
SELECT coalesce(max(page_no), 0) AS n FROM hub.sync_page WHERE run_id = %(run_id)s;

-- name: due_count
-- Quarantined records that another mapping rejected.
SELECT count(*) AS n FROM hub.quarantine
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND resolved_at IS NULL AND mapping IS DISTINCT FROM %(mapping)s;

-- name: due_records
-- Quarantined records that another mapping rejected and that this run has not read: the newest version kept, if it is a root with every field.
CREATE TEMP TABLE due ON COMMIT DROP AS
SELECT w.*, %(after)s + dense_rank() OVER (ORDER BY w.from_run, w.from_page) AS place
  FROM (SELECT DISTINCT ON (q.external_id) q.external_id, r.run_id AS from_run, r.page_no AS from_page, r.n, r.updated_at, r.flag, k.sources
          FROM hub.quarantine q
          JOIN hub.kept_run k ON k.connection_id = q.connection_id AND k.object_key = q.object_key
          JOIN hub.sync_record r ON r.run_id = k.run_id AND r.external_id = q.external_id AND r.flag IS DISTINCT FROM 'duplicate'
         WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s AND q.resolved_at IS NULL
           AND q.mapping IS DISTINCT FROM %(mapping)s
           AND NOT EXISTS (SELECT 1 FROM hub.sync_record s WHERE s.run_id = %(run_id)s AND s.external_id = q.external_id)
         ORDER BY q.external_id, r.updated_at DESC NULLS LAST, r.run_id DESC, r.page_no DESC, r.n DESC) AS w
 WHERE w.flag IS NULL AND w.sources @> %(sources)s::text[];

-- name: stage_due_bodies
-- Their pages; what else stands in them is not staged.
INSERT INTO hub.sync_body (run_id, page_no, body, places, external_ids, parent_ids, stamps)
SELECT %(run_id)s, d.place, b.body, d.places, d.external_ids, array_fill(NULL::text, ARRAY[cardinality(d.places)]), d.stamps
  FROM (SELECT place, from_run, from_page, array_agg(n ORDER BY n) AS places, array_agg(external_id ORDER BY n) AS external_ids,
               array_agg(updated_at ORDER BY n) AS stamps
          FROM due GROUP BY place, from_run, from_page) AS d
  JOIN hub.sync_body b ON b.run_id = d.from_run AND b.page_no = d.from_page;

-- name: stage_due_pages
-- Their page ledger: a page that holds them, not the provider's page.
INSERT INTO hub.sync_page (run_id, page_no, n, children, digest, fence)
SELECT %(run_id)s, place, count(*), 0, 'kept:' || from_run || ':' || from_page, %(fence)s FROM due GROUP BY place, from_run, from_page;

-- name: kept_place
-- Where the newest kept version of one record stands; without an id: of the record read last.
SELECT r.run_id, r.page_no, r.n, r.external_id, b.body
  FROM hub.kept_run k
  JOIN hub.sync_record r ON r.run_id = k.run_id AND r.flag IS NULL
  JOIN hub.sync_body b ON b.run_id = r.run_id AND b.page_no = r.page_no
 WHERE k.connection_id = %(connection_id)s AND k.object_key = %(object_key)s AND (%(external_id)s::text IS NULL OR r.external_id = %(external_id)s)
 ORDER BY r.run_id DESC, r.updated_at DESC NULLS LAST, r.page_no DESC, r.n DESC LIMIT 1;
