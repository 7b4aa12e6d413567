-- name: read
-- Mark, seed and sweeps of a connection and object; ages by the database's clock.
SELECT mark, generation, resync_required, seed,
       extract(epoch FROM clock_timestamp() - coalesce(last_sweep_at, initial_done_at))::float AS sweep_age_s,
       extract(epoch FROM clock_timestamp() - sweep_tried_at)::float AS sweep_tried_age_s
  FROM hub.integration_state
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: seed_mark
-- The mark of a rule that begins now (D6); what a run of this generation has already moved stays.
INSERT INTO hub.integration_state AS s (connection_id, object_key, generation, mark, seed, seeded_by)
VALUES (%(connection_id)s, %(object_key)s, %(generation)s, coalesce(%(mark)s::timestamp, statement_timestamp() AT TIME ZONE 'UTC'),
        coalesce(%(mark)s::timestamp, statement_timestamp() AT TIME ZONE 'UTC'), %(seeded_by)s)
ON CONFLICT (connection_id, object_key) DO UPDATE
   SET generation = excluded.generation, mark = excluded.mark, seed = excluded.seed, seeded_by = excluded.seeded_by,
       initial_done_at = NULL, updated_at = clock_timestamp()
 WHERE excluded.generation > s.generation OR (excluded.generation = s.generation AND s.mark IS NULL)
RETURNING mark;

-- name: note_sweep_try
-- A sweep that is due begins; should it fail, the next one is tried a day later.
UPDATE hub.integration_state SET sweep_tried_at = clock_timestamp()
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: move_mark
-- Moved by finish only; never backwards within a generation, never by a run of an older one.
INSERT INTO hub.integration_state AS s (connection_id, object_key, generation, mark, initial_done_at, fence, run_id)
VALUES (%(connection_id)s, %(object_key)s, %(generation)s, %(mark)s, clock_timestamp(), %(fence)s, %(run_id)s)
ON CONFLICT (connection_id, object_key) DO UPDATE
   SET mark = CASE WHEN excluded.generation > s.generation THEN excluded.mark ELSE greatest(s.mark, excluded.mark) END,
       seed = CASE WHEN excluded.generation = s.generation THEN s.seed END,
       seeded_by = CASE WHEN excluded.generation = s.generation THEN s.seeded_by END,
       generation = excluded.generation,
       initial_done_at = CASE WHEN excluded.generation > s.generation THEN excluded.initial_done_at
                              ELSE coalesce(s.initial_done_at, excluded.initial_done_at) END,
       fence = excluded.fence, run_id = excluded.run_id, updated_at = clock_timestamp()
 WHERE excluded.generation >= s.generation;

-- name: note_proof
-- When a full run or a sweep last looked at everything, and when the verdict was complete.
UPDATE hub.integration_state
   SET last_sweep_at = CASE WHEN %(swept)s THEN at ELSE last_sweep_at END,
       proven_at = CASE WHEN %(complete)s THEN at ELSE proven_at END,
       proven_by = CASE WHEN %(complete)s THEN %(run_id)s ELSE proven_by END
  FROM (SELECT clock_timestamp() AS at) AS now
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: get
-- The state as people look at it.
SELECT mark, generation, revision, seed, seeded_by, initial_done_at, resync_required, last_sweep_at, proven_at, proven_by, run_id, updated_at
  FROM hub.integration_state
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s;

-- name: lock_lease
-- No run takes the lease before the editor's commit; `held` while one has it.
SELECT run_id, taken_at, run_id IS NOT NULL AND expires_at >= clock_timestamp() AS held FROM hub.integration_lease
 WHERE key = %(key)s FOR UPDATE;

-- name: fence_off
-- The run of a lapsed lease writes nothing any more.
UPDATE hub.integration_lease SET fence = fence + 1, run_id = NULL, stage = NULL, expires_at = '-infinity' WHERE key = %(key)s;

-- name: insert_edited
-- A mark before any run; of a rule that reads from a moment on, that moment.
INSERT INTO hub.integration_state (connection_id, object_key, generation, mark, seed, seeded_by)
VALUES (%(connection_id)s, %(object_key)s, %(generation)s, %(mark)s, CASE WHEN %(from_now)s THEN %(mark)s::timestamp END, %(actor)s)
ON CONFLICT (connection_id, object_key) DO NOTHING
RETURNING revision;

-- name: edit
-- The state that the editor looked at, and no other. A mark before the seed moves the seed.
UPDATE hub.integration_state
   SET mark = %(mark)s, generation = %(generation)s, seeded_by = %(actor)s,
       seed = CASE WHEN seed IS NOT NULL THEN least(seed, %(mark)s) WHEN %(from_now)s THEN %(mark)s::timestamp END,
       initial_done_at = CASE WHEN %(mark)s::timestamp IS NULL THEN NULL ELSE initial_done_at END, updated_at = clock_timestamp()
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND revision = %(expected_revision)s
RETURNING revision;

-- name: linked_since
-- Linked records whose last known change is not before a stamp.
SELECT count(*) AS n FROM hub.integration_external_link
 WHERE connection_id = %(connection_id)s AND object_type = %(object_key)s AND is_active AND source_updated_at >= %(since)s;
