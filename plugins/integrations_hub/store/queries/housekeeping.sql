-- Housekeeping: runs that nobody works on any more, leftovers, heartbeats.

-- name: silent_runs
-- Open runs without a living lease, at least 15 minutes old: a lapsed lease alone is not death
SELECT r.id, r.dag_id, r.dag_run_id
  FROM hub.integration_run r
 WHERE r.ended_at IS NULL
   AND r.created_at < clock_timestamp() - interval '15 minutes'
   AND NOT EXISTS (SELECT 1 FROM hub.integration_lease l
                    WHERE l.run_id = r.id AND l.expires_at > clock_timestamp())
 ORDER BY r.id
 LIMIT 500;

-- name: close_lost
-- End an open run as lost unless its lease came back to life
UPDATE hub.integration_run r
   SET state = 'lost', ended_at = clock_timestamp(),
       error_code = coalesce(error_code, 'RUN_LOST'),
       error_text = coalesce(error_text, 'Its Dag run ended without closing it.'),
       error_hint = coalesce(error_hint, 'Nothing to do: the next run reads what this one would have read.')
 WHERE r.id = %(run_id)s AND r.ended_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM hub.integration_lease l
                    WHERE l.run_id = r.id AND l.expires_at > clock_timestamp());

-- name: free_lease
-- Give back the lapsed lease of a lost run; the higher fence refuses an orphan of it
UPDATE hub.integration_lease
   SET run_id = NULL, stage = NULL, expires_at = '-infinity', fence = fence + 1
 WHERE run_id = %(run_id)s AND expires_at <= clock_timestamp();

-- name: spent_runs
-- Ended runs whose staging nobody needs: not kept for a changed mapping, or kept for longer than `days` (0 = nothing is kept)
SELECT r.id FROM hub.integration_run r
 WHERE r.ended_at IS NOT NULL AND r.id IN (SELECT run_id FROM hub.sync_page)
   AND NOT EXISTS (SELECT 1 FROM hub.kept_run k WHERE k.run_id = r.id AND k.ended_at > clock_timestamp() - make_interval(days => %(days)s));

-- name: purge_bodies
-- Page bodies of spent runs, with their records
DELETE FROM hub.sync_body WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM hub.sync_body WHERE run_id = ANY(%(runs)s) LIMIT %(batch)s));

-- name: purge_pages
-- Page ledgers of spent runs that ended a day ago: short enough to stay small, long enough to look at
DELETE FROM hub.sync_page WHERE ctid = ANY (ARRAY(
    SELECT p.ctid FROM hub.sync_page p JOIN hub.integration_run r ON r.id = p.run_id
     WHERE p.run_id = ANY(%(runs)s) AND r.ended_at < clock_timestamp() - interval '1 day' LIMIT %(batch)s));

-- name: purge_changes
-- The journal of runs that ended long ago: they can no longer be taken back, nor asked why they wrote a value
DELETE FROM hub.sync_change WHERE ctid = ANY (ARRAY(
    SELECT c.ctid FROM hub.sync_change c JOIN hub.integration_run r ON r.id = c.run_id
     WHERE r.ended_at < clock_timestamp() - make_interval(days => %(journal_days)s) LIMIT %(batch)s));

-- name: purge_flows
-- OAuth flows that nobody finished or needs any more
DELETE FROM hub.oauth_flow WHERE nonce_hash IN (
    SELECT nonce_hash FROM hub.oauth_flow WHERE expires_at < clock_timestamp() - interval '1 day' LIMIT %(batch)s);

-- name: purge_inflight
-- Places of requests whose process died
DELETE FROM hub.rate_inflight WHERE token IN (
    SELECT token FROM hub.rate_inflight WHERE expires_at < clock_timestamp() LIMIT %(batch)s);

-- name: note_interrupted
-- Refreshes whose process died before it told the outcome: shown at once, not only when somebody needs the token
UPDATE hub.integration_connection
   SET refresh_unknown_since = refresh_intent_at, updated_at = clock_timestamp()
 WHERE refresh_claim IS NOT NULL AND refresh_intent IS NOT NULL AND refresh_unknown_since IS NULL
   AND refresh_claim_until < clock_timestamp();

-- name: beat
-- Show life
INSERT INTO hub.heartbeat (name, at, detail) VALUES (%(name)s, clock_timestamp(), %(detail)s::jsonb)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, detail = excluded.detail;

-- name: broken_now
-- Rules whose Dag could not be built, as last reported
SELECT name, detail ->> 'error' AS error FROM hub.heartbeat WHERE starts_with(name, 'dag_broken:');

-- name: forget_broken
-- Rules that build again, or are no longer enabled
DELETE FROM hub.heartbeat WHERE starts_with(name, 'dag_broken:') AND NOT (name = ANY(%(names)s));

-- name: export_audit_head
-- The head of the audit chain, once an hour: the row remembers when it was told last
INSERT INTO hub.heartbeat (name, at, detail)
SELECT 'audit_head', clock_timestamp(), jsonb_build_object('seq', seq, 'hash', hash) FROM hub.audit_head
ON CONFLICT (name) DO UPDATE SET at = excluded.at, detail = excluded.detail
 WHERE hub.heartbeat.at < clock_timestamp() - interval '1 hour'
RETURNING (detail ->> 'seq')::bigint AS seq, detail ->> 'hash' AS hash;
