-- Plans of changes that a person answers, and the journal that an undo reads.

-- name: linked
-- Active links of a connection and object: what the guard's percentages are of.
SELECT count(*) AS n FROM hub.integration_external_link
 WHERE provider_key = %(provider_key)s AND object_type = %(object_key)s AND connection_id = %(connection_id)s AND is_active;

-- name: nulled
-- Rows that a plan would take a value from.
SELECT count(*) AS n FROM hub.sync_change c
 WHERE c.run_id = %(run_id)s AND c.action IN ('update', 'revive')
   AND EXISTS (SELECT 1 FROM unnest(c.before[1:10], c.after[1:10]) AS v(before, after)
                WHERE coalesce(v.before, '') <> '' AND coalesce(v.after, '') = '');

-- name: proposal
-- A run's plan of changes: whether it is whole, was answered or applied, and which later plan replaces it.
SELECT coalesce((r.listing ->> 'mapped')::boolean, false) AS whole,
       (SELECT count(*) FROM hub.sync_change c WHERE c.run_id = r.id) AS changes,
       (SELECT coalesce(max(k.last_seq), 0) FROM hub.sync_chunk k WHERE k.run_id = r.id) AS applied_seq,
       (SELECT min(a.id) FROM hub.integration_run a
         WHERE a.connection_id = r.connection_id AND a.object_key = r.object_key AND (a.params ->> 'apply_run_id')::bigint = r.id AND a.id <> %(by_run)s
           AND ((a.ended_at IS NULL AND (a.id < %(by_run)s OR %(by_run)s = 0)) OR a.state IN ('succeeded', 'succeeded_with_rejects')
                OR EXISTS (SELECT 1 FROM hub.sync_chunk k WHERE k.run_id = a.id))) AS applied_by,
       (SELECT count(*) FROM hub.integration_run e
         WHERE e.connection_id = r.connection_id AND e.object_key = r.object_key AND e.ended_at IS NOT NULL
           AND r.id IN ((e.params ->> 'apply_run_id')::bigint, (e.params ->> 'undo_run_id')::bigint)) AS answered,
       (SELECT max(n.id) FROM hub.integration_run n
         WHERE n.connection_id = r.connection_id AND n.object_key = r.object_key AND n.id > r.id AND n.id <> %(by_run)s
           AND n.listing ? 'mapped' AND n.state <> 'lost' AND n.params ->> 'apply_run_id' IS DISTINCT FROM r.id::text) AS superseded_by,
       p.seqs AS approved_seqs
  FROM hub.integration_run r LEFT JOIN hub.plan_answer p ON p.run_id = r.id
 WHERE r.id = %(run_id)s;

-- name: answer
-- The first answer to a plan stands.
INSERT INTO hub.plan_answer (run_id, seqs, answered_by) VALUES (%(run_id)s, %(seqs)s, %(actor)s) ON CONFLICT (run_id) DO NOTHING;

-- name: get_answer
-- What was answered.
SELECT seqs, answered_by, answered_at FROM hub.plan_answer WHERE run_id = %(run_id)s;

-- name: unknown_seqs
-- Rows of a selection that the plan does not have, or that only a review can decide.
SELECT x.seq FROM unnest(%(seqs)s::integer[]) AS x(seq)
 WHERE NOT EXISTS (SELECT 1 FROM hub.sync_change c WHERE c.run_id = %(run_id)s AND c.seq = x.seq AND c.action <> 'review')
 ORDER BY 1 LIMIT 20;

-- name: adopt_changes
-- The approved rows of another run's plan become this run's change set, as they stand.
INSERT INTO hub.sync_change (run_id, seq, external_id, local_id, action, before, after, remote, reason, source_updated_at)
SELECT %(run_id)s, row_number() OVER (ORDER BY c.seq), c.external_id, c.local_id, c.action, c.before, c.after, c.remote, c.reason, c.source_updated_at
  FROM hub.sync_change c
 WHERE c.run_id = %(plan_run_id)s AND c.action <> 'review' AND (%(seqs)s::integer[] IS NULL OR c.seq = ANY(%(seqs)s));

-- name: approve_missing
-- Records that a held sweep missed may be looked up by the next one, however many they are.
UPDATE hub.integration_external_link l SET missing_approved = true, missing_sweeps = greatest(l.missing_sweeps, 1)
  FROM hub.sync_absent a
 WHERE a.run_id = %(plan_run_id)s AND a.verdict = 'too_many_missing' AND l.provider_key = %(provider_key)s AND l.object_type = %(object_key)s
   AND l.connection_id = %(connection_id)s AND l.external_id = a.external_id;

-- name: note_adopted
-- Where the adopted plan would move the mark to, and from where.
UPDATE hub.integration_run SET mark_from = %(mark_from)s, mark_to = %(mark_to)s, listing = listing || %(listing)s::jsonb WHERE id = %(run_id)s;

-- name: move_mark_from
-- Only from where the plan started; whoever moved the mark meanwhile keeps it.
INSERT INTO hub.integration_state AS s (connection_id, object_key, generation, mark, initial_done_at, fence, run_id)
VALUES (%(connection_id)s, %(object_key)s, %(generation)s, %(mark)s, clock_timestamp(), %(fence)s, %(run_id)s)
ON CONFLICT (connection_id, object_key) DO UPDATE
   SET mark = excluded.mark, generation = excluded.generation, initial_done_at = coalesce(s.initial_done_at, excluded.initial_done_at),
       fence = excluded.fence, run_id = excluded.run_id, updated_at = clock_timestamp()
 WHERE s.mark IS NOT DISTINCT FROM %(mark_from)s;

-- name: left_over
-- Approved rows that were not applied.
SELECT count(*) FILTER (WHERE outcome = 'drifted') AS drifted, count(*) FILTER (WHERE outcome = 'refused') AS refused
  FROM hub.sync_change WHERE run_id = %(run_id)s AND outcome IN ('drifted', 'refused');
