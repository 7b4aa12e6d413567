-- What every request and every write transaction does, as functions: one statement each, planned once a session. A link is known by
-- its record; the index on its number served nobody.
ALTER TABLE hub.integration_external_link DROP CONSTRAINT integration_external_link_pkey;

CREATE FUNCTION hub.hold_lease(for_key text, for_run bigint, for_fence bigint, ttl_s float8,
                               OUT stage text, OUT ended boolean, OUT connection_disabled boolean, OUT rule_disabled boolean)
RETURNS SETOF record LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE hub.integration_lease l SET expires_at = clock_timestamp() + make_interval(secs => ttl_s)
     WHERE l.key = for_key AND l.run_id = for_run AND l.fence = for_fence
    RETURNING l.stage INTO stage;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT hold_lease.stage, r.ended_at IS NOT NULL, c.is_disabled, u.id IS NOT NULL AND NOT u.enabled AND NOT starts_with(r.dag_id, 'hub__on_demand')
      FROM hub.integration_run r
      JOIN hub.integration_connection c ON c.id = r.connection_id
      LEFT JOIN hub.integration_rule u ON u.id = r.rule_id
     WHERE r.id = for_run;
END $$;
COMMENT ON FUNCTION hub.hold_lease IS 'locks and renews the lease row of a run''s try, and tells whether the run, its connection or its rule was ended; no row when the fence moved on';

CREATE FUNCTION hub.take_slot(for_connection text, for_provider text, of_connection bigint, for_token uuid, max_wait_s float8, ttl_s float8,
                              OUT granted boolean, OUT wait_s float8)
RETURNS SETOF record LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    allowed record;
    used    record;
    free    bigint;
    asked   timestamptz;
    due     timestamptz;
BEGIN
    -- The rows must be there before the lock: rows that appear between two statements would be changed without it, out of order.
    IF (SELECT count(*) FROM hub.rate_budget WHERE key IN (for_connection, for_provider)) < 2 THEN
        INSERT INTO hub.rate_budget (key) VALUES (for_connection), (for_provider) ON CONFLICT (key) DO NOTHING;
    END IF;
    PERFORM 1 FROM hub.rate_budget WHERE key IN (for_connection, for_provider) ORDER BY key FOR UPDATE;
    SELECT greatest(1, coalesce((c.limits ->> 'maxConcurrentPerConnection')::int, r.max_concurrent)) AS places,
           greatest(1, coalesce((c.limits ->> 'burst')::int, r.burst)) AS burst,
           make_interval(secs => 60.0 / greatest(1, coalesce((c.limits ->> 'requestsPerMinute')::int, r.requests_per_minute))) AS step,
           greatest(1, r.burst) AS burst_all,
           make_interval(secs => 60.0 / greatest(1, r.global_requests_per_minute)) AS step_all
      INTO allowed
      FROM hub.integration_connection c JOIN hub.rate_limit r ON r.provider_key = c.provider_key
     WHERE c.id = of_connection AND NOT c.is_disabled AND c.deleted_at IS NULL AND (c.is_active OR c.disconnected_at IS NULL);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    free := allowed.places - (SELECT count(*) FROM hub.rate_inflight WHERE key = for_connection);
    IF free < 1 THEN
        -- places whose sender is gone
        DELETE FROM hub.rate_inflight
         WHERE key = for_connection AND (expires_at < clock_timestamp() OR NOT EXISTS (SELECT FROM pg_stat_get_activity(backend)));
        free := allowed.places - (SELECT count(*) FROM hub.rate_inflight WHERE key = for_connection);
    END IF;
    SELECT own.next_slot AS own_next, every.next_slot AS every_next, greatest(own.paused_until, every.paused_until) AS paused_until
      INTO used
      FROM hub.rate_budget own, hub.rate_budget every
     WHERE own.key = for_connection AND every.key = for_provider;
    asked := clock_timestamp();
    due := greatest(asked, used.paused_until, used.own_next - allowed.step * (allowed.burst - 1),
                    used.every_next - allowed.step_all * (allowed.burst_all - 1));
    granted := free > 0 AND due <= asked + make_interval(secs => max_wait_s);
    wait_s := extract(epoch FROM due - asked);
    IF granted THEN
        UPDATE hub.rate_budget
           SET next_slot = greatest(next_slot, due) + CASE key WHEN for_connection THEN allowed.step ELSE allowed.step_all END
         WHERE key IN (for_connection, for_provider);
        INSERT INTO hub.rate_inflight (token, key, expires_at, backend)
        VALUES (for_token, for_connection, due + make_interval(secs => ttl_s), pg_backend_pid());
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION hub.take_slot IS
    'reserves the next slot (GCRA) and a place in flight: granted or not, and the seconds until it is due; no row when the connection is withdrawn or no limits are in force';

-- A create repeats only what it does not say itself.
CREATE FUNCTION hub.provider_said(after text[], remote text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN remote IS NULL THEN after[1:10]
                ELSE after[1:array_lower(remote, 1) - 1] || remote || after[array_upper(remote, 1) + 1:10] END
$$;
COMMENT ON COLUMN hub.sync_change.remote IS
    'what the provider says, in the mapped columns'' order, where it is not what after begins with; of a create only what differs, at its own subscript';
