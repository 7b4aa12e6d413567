-- name: acquire
-- Make the rows if a crash emptied the table, lock both in key order, free places whose sender is gone, decide and reserve (GCRA).
-- The rows must be there before the lock: rows that appear between two statements would be changed without it, out of order.
INSERT INTO hub.rate_budget (key) VALUES (%(connection)s), (%(provider)s) ON CONFLICT (key) DO NOTHING;
SELECT key FROM hub.rate_budget WHERE key IN (%(connection)s, %(provider)s) ORDER BY key FOR UPDATE;
DELETE FROM hub.rate_inflight
 WHERE key = %(connection)s
   AND (expires_at < clock_timestamp() OR NOT EXISTS (SELECT FROM pg_stat_get_activity(backend)));
WITH limits AS (
    SELECT greatest(1, coalesce((c.limits ->> 'requestsPerMinute')::int, r.requests_per_minute)) AS per_minute,
           greatest(1, coalesce((c.limits ->> 'burst')::int, r.burst)) AS burst,
           greatest(1, coalesce((c.limits ->> 'maxConcurrentPerConnection')::int, r.max_concurrent)) AS places,
           greatest(1, r.global_requests_per_minute) AS per_minute_all,
           greatest(1, r.burst) AS burst_all
      FROM hub.integration_connection c JOIN hub.rate_limit r ON r.provider_key = c.provider_key
     WHERE c.id = %(connection_id)s AND NOT c.is_disabled AND c.deleted_at IS NULL
       AND (c.is_active OR c.disconnected_at IS NULL)
), state AS MATERIALIZED (
    SELECT clock_timestamp() AS now, own.next_slot AS own_next, every.next_slot AS every_next,
           greatest(own.paused_until, every.paused_until) AS paused_until,
           make_interval(secs => 60.0 / l.per_minute) AS step, l.burst,
           make_interval(secs => 60.0 / l.per_minute_all) AS step_all, l.burst_all,
           l.places - (SELECT count(*) FROM hub.rate_inflight i WHERE i.key = %(connection)s) AS free
      FROM limits l, hub.rate_budget own, hub.rate_budget every
     WHERE own.key = %(connection)s AND every.key = %(provider)s
), slot AS (
    SELECT s.*, greatest(s.now, s.paused_until, s.own_next - s.step * (s.burst - 1),
                         s.every_next - s.step_all * (s.burst_all - 1)) AS due
      FROM state s
), granted AS (
    SELECT * FROM slot WHERE free > 0 AND due <= now + make_interval(secs => %(max_wait_s)s)
), own_moved AS (
    UPDATE hub.rate_budget b SET next_slot = greatest(b.next_slot, g.due) + g.step
      FROM granted g WHERE b.key = %(connection)s
), every_moved AS (
    UPDATE hub.rate_budget b SET next_slot = greatest(b.next_slot, g.due) + g.step_all
      FROM granted g WHERE b.key = %(provider)s
), placed AS (
    INSERT INTO hub.rate_inflight (token, key, expires_at, backend)
    SELECT %(token)s::uuid, %(connection)s, g.due + make_interval(secs => %(ttl_s)s), pg_backend_pid() FROM granted g
)
SELECT free > 0 AND due <= now + make_interval(secs => %(max_wait_s)s) AS granted,
       extract(epoch FROM due - now)::float8 AS wait_s
  FROM slot;

-- name: withdrawn
-- Why a connection gets no slot: somebody switched it off while it was used.
SELECT key, CASE WHEN deleted_at IS NOT NULL THEN 'deleted' WHEN is_disabled THEN 'disabled'
                 WHEN NOT is_active AND disconnected_at IS NOT NULL THEN 'disconnected' END AS how
  FROM hub.integration_connection WHERE id = %(connection_id)s;

-- name: release
-- Give a place in flight back.
DELETE FROM hub.rate_inflight WHERE token = %(token)s::uuid;

-- name: pause
-- Nobody sends on this connection before then.
INSERT INTO hub.rate_budget (key, paused_until)
VALUES (%(connection)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (key) DO UPDATE SET paused_until = greatest(hub.rate_budget.paused_until, excluded.paused_until);

-- name: paused_for
-- Seconds until the latest pause ends.
SELECT greatest(0, coalesce(max(extract(epoch FROM paused_until - clock_timestamp())) FILTER (WHERE paused_until > clock_timestamp()), 0))::float8 AS wait_s
  FROM hub.rate_budget WHERE key IN (%(connection)s, %(provider)s);

-- name: publish
-- The limits in force for a provider; a change reaches running tasks with their next request.
INSERT INTO hub.rate_limit (provider_key, requests_per_minute, burst, max_concurrent, global_requests_per_minute)
VALUES (%(provider_key)s, %(requests_per_minute)s, %(burst)s, %(max_concurrent)s, %(global_requests_per_minute)s)
ON CONFLICT (provider_key) DO UPDATE
   SET requests_per_minute = excluded.requests_per_minute, burst = excluded.burst, max_concurrent = excluded.max_concurrent,
       global_requests_per_minute = excluded.global_requests_per_minute, updated_at = now()
 WHERE (hub.rate_limit.requests_per_minute, hub.rate_limit.burst, hub.rate_limit.max_concurrent, hub.rate_limit.global_requests_per_minute)
       IS DISTINCT FROM (excluded.requests_per_minute, excluded.burst, excluded.max_concurrent, excluded.global_requests_per_minute);
