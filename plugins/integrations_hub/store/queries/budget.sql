-- name: acquire
-- The next slot and a place in flight, or how long until there is one.
SELECT granted, wait_s FROM hub.take_slot(%(connection)s, %(provider)s, %(connection_id)s, %(token)s::uuid, %(max_wait_s)s, %(ttl_s)s);

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
