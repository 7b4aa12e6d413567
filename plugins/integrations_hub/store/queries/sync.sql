-- name: acquire
-- Takes the lease of a key; also true for the run that holds it. The open run whose lapsed lease is taken over is lost.
WITH before AS (
    SELECT run_id FROM hub.integration_lease WHERE key = %(key)s FOR UPDATE
), taken AS (
    UPDATE hub.integration_lease l
       SET fence = fence + 1, run_id = %(run_id)s, stage = 'plan', expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s),
           taken_at = CASE WHEN l.run_id = %(run_id)s THEN l.taken_at ELSE clock_timestamp() END
      FROM before
     WHERE l.key = %(key)s AND (l.expires_at < clock_timestamp() OR l.run_id = %(run_id)s)
    RETURNING before.run_id AS was
), lost AS (
    UPDATE hub.integration_run r
       SET state = 'lost', ended_at = clock_timestamp(), error_code = 'RUN_LOST', error_text = 'Run ' || %(run_id)s || ' took over its lapsed lease.',
           error_hint = 'Nothing to do: the run that took over does the work.'
      FROM taken
     WHERE r.id = taken.was AND r.id <> %(run_id)s AND r.ended_at IS NULL
)
SELECT was FROM taken;

-- name: make_lease
-- The row of a key that was never leased.
INSERT INTO hub.integration_lease (key) VALUES (%(key)s) ON CONFLICT (key) DO NOTHING;

-- name: lease_holder
-- Who holds the lease now.
SELECT run_id, taken_at FROM hub.integration_lease WHERE key = %(key)s AND expires_at >= clock_timestamp() AND run_id IS NOT NULL;

-- name: enter_stage
-- Raises the fence for this try of a stage: whatever an earlier try or stage still writes is refused. The run row follows its lease;
-- a new try of a stage starts without the error of the last one. No row: another run holds the lease, or this one has ended or was
-- cancelled, which only finish may enter. Returned: the run as it was, and the fence.
WITH held AS (
    UPDATE hub.integration_lease
       SET fence = fence + 1, stage = %(stage)s, expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
     WHERE run_id = %(run_id)s
    RETURNING fence
), noted AS (
    UPDATE hub.integration_run r
       SET stage = %(stage)s, fence = held.fence, state = 'running', started_at = coalesce(started_at, clock_timestamp()),
           error_code = CASE WHEN %(stage)s = 'finish' THEN error_code END, error_text = CASE WHEN %(stage)s = 'finish' THEN error_text END,
           error_hint = CASE WHEN %(stage)s = 'finish' THEN error_hint END,
           stage_times = jsonb_build_object(%(stage)s::text, clock_timestamp()) || stage_times
      FROM held
     WHERE r.id = %(run_id)s AND r.ended_at IS NULL AND (r.error_code IS DISTINCT FROM 'CANCELLED' OR %(stage)s = 'finish')
    RETURNING r.fence
)
SELECT r.*, c.key AS connection_key, noted.fence AS entered
  FROM noted, hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id
 WHERE r.id = %(run_id)s;

-- name: check_fence
-- First statement of every write transaction: locks the lease row, so no take-over slips in before our commit. It also tells
-- whether the run's rule or connection was disabled meanwhile (a cancel raises the fence), and lets what follows write the provider's columns.
SELECT set_config('hub.writer', 'sync', true), h.* FROM hub.hold_lease(%(key)s, %(run_id)s, %(fence)s, %(ttl_s)s) AS h;

-- name: release
-- Gives the lease back.
UPDATE hub.integration_lease SET expires_at = '-infinity', run_id = NULL, stage = NULL WHERE key = %(key)s AND fence = %(fence)s;

-- name: note_error
-- What a stage failed of, for finish to close the run with; refused for an older try, and beside a cancel.
UPDATE hub.integration_run SET error_code = %(code)s, error_text = %(text)s, error_hint = %(hint)s
 WHERE id = %(run_id)s AND fence = %(fence)s AND ended_at IS NULL AND error_code IS DISTINCT FROM 'CANCELLED';

-- name: close_run
-- Ends the run.
UPDATE hub.integration_run
   SET state = %(state)s, stage = 'finish', ended_at = clock_timestamp(), error_code = %(code)s, error_text = %(text)s, error_hint = %(hint)s
 WHERE id = %(run_id)s AND ended_at IS NULL;

-- name: pin_plan
-- What plan decided, for every later stage.
UPDATE hub.integration_run
   SET plan = %(plan)s::jsonb, mark_from = %(mark_from)s, rule_revision = %(rule_revision)s
 WHERE id = %(run_id)s;

-- name: save_page
-- A page: its ledger row, its body as it came with what each element of it is, when it staged any, and the progress of fetch.
WITH kept AS (
    INSERT INTO hub.sync_body (run_id, page_no, body, places, external_ids, parent_ids, stamps, problems)
    SELECT %(run_id)s, %(page_no)s, %(body)b, %(places)s::integer[], %(external_ids)s::text[], %(parent_ids)s::text[], %(stamps)s::timestamp[],
           %(problems)s::text[]
     WHERE %(n)s > 0
), ledger AS (
    INSERT INTO hub.sync_page (run_id, page_no, n, children, digest, fence)
    VALUES (%(run_id)s, %(page_no)s, %(n)s, %(children)s, %(digest)s, %(fence)s)
)
UPDATE hub.integration_run SET listing = %(listing)s::jsonb, requests = %(requests)s, pages = pages + 1, records = records + %(n)s
 WHERE id = %(run_id)s;

-- name: save_listing
-- Progress of fetch without a page: where a retry resumes, and what the run page shows.
UPDATE hub.integration_run SET listing = %(listing)s::jsonb, requests = %(requests)s WHERE id = %(run_id)s;

-- name: forget_pages
-- The listing begins again: nothing is read yet.
UPDATE hub.integration_run SET pages = 0, records = 0 WHERE id = %(run_id)s;

-- name: clear_pages
-- Forget the page ledger of this run.
DELETE FROM hub.sync_page WHERE run_id = %(run_id)s;

-- name: clear_bodies
-- Forget the page bodies of this run.
DELETE FROM hub.sync_body WHERE run_id = %(run_id)s;

-- name: save_witness
-- The logged witness of the unlogged staging (rule 3 of a run), the mark that finish may move to, and the end of fetch's progress.
UPDATE hub.integration_run SET witness = %(witness)s::jsonb, mark_to = %(mark_to)s, listing = %(listing)s::jsonb, requests = %(requests)s
 WHERE id = %(run_id)s;

-- name: add_warnings
-- Warnings, each once.
UPDATE hub.integration_run
   SET warnings = (SELECT coalesce(jsonb_agg(DISTINCT w), '[]') FROM jsonb_array_elements(warnings || %(warnings)s::jsonb) AS w)
 WHERE id = %(run_id)s;

-- name: pages
-- The page ledger in order.
SELECT page_no, n, digest FROM hub.sync_page WHERE run_id = %(run_id)s ORDER BY page_no;

-- name: staged_since
-- What is staged from a stamp on: the same record with the same stamp is not staged twice.
SELECT external_id, updated_at FROM hub.sync_record WHERE run_id = %(run_id)s AND updated_at >= %(stamp)s;

-- name: staged
-- Records, distinct records (one without an id counts as one), greatest stamp up to a limit.
SELECT coalesce(sum(k.n), 0)::integer AS records,
       (count(k.external_id) + coalesce(sum(k.n) FILTER (WHERE k.external_id IS NULL), 0))::integer AS "distinct", max(k.newest) AS newest
  FROM (SELECT r.external_id, count(*) AS n, max(r.updated_at) FILTER (WHERE r.updated_at <= %(stamp_limit)s) AS newest
          FROM (SELECT unnest(external_ids) AS external_id, unnest(stamps) AS updated_at FROM hub.sync_body WHERE run_id = %(run_id)s) AS r
         GROUP BY r.external_id) AS k;

-- name: next_page
-- The next page with staged records; stamps as text that COPY takes.
SELECT page_no, body, places, external_ids, stamps::text[], parent_ids, problems, older
  FROM hub.sync_body WHERE run_id = %(run_id)s AND page_no > %(page_no)s ORDER BY page_no LIMIT 1;

-- name: unflag
-- filter_parents may run twice: it starts from what fetch left.
UPDATE hub.sync_body SET older = NULL WHERE run_id = %(run_id)s AND older IS NOT NULL;

-- name: flag_duplicates
-- Of several versions of a record the newest stamp wins, then the later place in the listing.
UPDATE hub.sync_body b SET older = d.places
  FROM (SELECT v.page_no, array_agg(v.n) AS places
          FROM (SELECT r.page_no, r.n, row_number() OVER (PARTITION BY r.external_id
                       ORDER BY r.updated_at DESC NULLS LAST, r.page_no DESC, r.n DESC) AS version
                  FROM hub.sync_record r
                  JOIN (SELECT external_id FROM hub.sync_record WHERE run_id = %(run_id)s AND external_id IS NOT NULL
                         GROUP BY external_id HAVING count(*) > 1) AS several USING (external_id)
                 WHERE r.run_id = %(run_id)s) AS v
         WHERE v.version > 1 GROUP BY v.page_no) AS d
 WHERE b.run_id = %(run_id)s AND b.page_no = d.page_no;

-- name: count_flags
-- Only top-level records are synced, whatever the provider's own filter did: roots go on to map_fields, children are counted on the run row.
WITH counts AS (
    SELECT count(*) FILTER (WHERE flag = 'child') AS children, count(*) FILTER (WHERE flag = 'duplicate') AS duplicates,
           count(*) FILTER (WHERE flag IS NULL) AS roots, count(*) FILTER (WHERE flag LIKE 'malformed:%%') AS malformed
      FROM hub.sync_record WHERE run_id = %(run_id)s
), noted AS (
    UPDATE hub.integration_run SET children = counts.children FROM counts WHERE id = %(run_id)s
)
SELECT * FROM counts;

-- name: applied
-- How far upsert is: chunks in the ledger, the last change they applied, and the size of the plan, whose rows are numbered from 1.
SELECT coalesce(max(chunk_no), 0) AS chunks, coalesce(max(last_seq), 0) AS last_seq,
       (SELECT coalesce(max(seq), 0) FROM hub.sync_change WHERE run_id = %(run_id)s) AS changes
  FROM hub.sync_chunk WHERE run_id = %(run_id)s;

-- name: save_chunk
-- The chunk's ledger row.
INSERT INTO hub.sync_chunk (run_id, chunk_no, fence, first_seq, last_seq, created, updated, linked, inactivated, revived, out_of_scope, refused, drifted,
    removed)
VALUES (%(run_id)s, %(chunk_no)s, %(fence)s, %(first_seq)s, %(last_seq)s, %(created)s, %(updated)s, %(linked)s, %(inactivated)s, %(revived)s,
        %(out_of_scope)s, %(refused)s, %(drifted)s, %(removed)s);

-- name: add_counts
-- Counters of the run move in the transaction of the chunk that they count.
UPDATE hub.integration_run
   SET created = created + %(created)s, updated = updated + %(updated)s, linked = linked + %(linked)s,
       inactivated = inactivated + %(inactivated)s, revived = revived + %(revived)s, out_of_scope = out_of_scope + %(out_of_scope)s,
       removed = removed + %(removed)s, drifted = drifted + %(drifted)s, review = review + %(refused)s + %(drifted)s
 WHERE id = %(run_id)s;

-- name: drop_changes
-- A new plan of changes replaces the one of an earlier try (never after a chunk was applied).
DELETE FROM hub.sync_change WHERE run_id = %(run_id)s;

-- name: save_plan
-- The plan of changes is whole: what map_fields counted, warns of, and why the run asks a person. A hold of reading (missing records)
-- stays, one of an earlier try of map_fields does not.
UPDATE hub.integration_run
   SET unchanged = %(unchanged)s, rejected = %(rejected)s, review = %(review)s, skipped = %(skipped)s,
       warnings = (SELECT coalesce(jsonb_agg(DISTINCT w), '[]') FROM jsonb_array_elements(warnings || %(warnings)s::jsonb) AS w),
       listing = CASE WHEN listing -> 'hold' ->> 'code' = 'TOO_MANY_MISSING' THEN listing || (%(found)s::jsonb - 'hold')
                      ELSE (listing - 'hold') || %(found)s::jsonb END
 WHERE id = %(run_id)s;

-- name: quarantine
-- A rejected record waits, without its values.
INSERT INTO hub.quarantine (connection_id, object_key, external_id, run_id, code, reason, pointer, mapping)
VALUES (%(connection_id)s, %(object_key)s, %(external_id)s, %(run_id)s, %(code)s, %(reason)s, %(pointer)s, %(mapping)s)
ON CONFLICT (connection_id, object_key, external_id) DO UPDATE
   SET run_id = excluded.run_id, code = excluded.code, reason = excluded.reason, pointer = excluded.pointer,
       mapping = excluded.mapping,
       attempts = hub.quarantine.attempts + CASE WHEN hub.quarantine.run_id <> excluded.run_id THEN 1 ELSE 0 END,
       last_seen = clock_timestamp(), resolved_at = NULL;

-- name: resolve_quarantine
-- A quarantined record that maps again has left quarantine.
UPDATE hub.quarantine q SET resolved_at = clock_timestamp()
  FROM mapped m
 WHERE q.connection_id = %(connection_id)s AND q.object_key = %(object_key)s AND q.external_id = m.external_id AND q.resolved_at IS NULL;
