-- name: get
-- A run with its connection's key.
SELECT r.*, c.key AS connection_key
  FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id
 WHERE r.id = %(run_id)s;

-- name: find_open
-- The open run of a Dag run; at most one (integration_run_one_open).
SELECT id FROM hub.integration_run
 WHERE dag_id = %(dag_id)s AND dag_run_id = %(dag_run_id)s AND ended_at IS NULL;

-- name: open
-- A run for a Dag run that has no open one; retry_of names the ended run whose task was cleared. No row: somebody was faster.
INSERT INTO hub.integration_run (dag_id, dag_run_id, retry_of, rule_id, rule_revision, connection_id, provider_key, object_key,
                                 trigger, requested_by, request_id, params)
VALUES (%(dag_id)s, %(dag_run_id)s,
        (SELECT max(id) FROM hub.integration_run WHERE dag_id = %(dag_id)s AND dag_run_id = %(dag_run_id)s),
        %(rule_id)s, %(rule_revision)s, %(connection_id)s, %(provider_key)s, %(object_key)s,
        %(trigger)s, %(requested_by)s, %(request_id)s, %(params)s)
ON CONFLICT (dag_id, dag_run_id) WHERE ended_at IS NULL DO NOTHING
RETURNING id;

-- name: request
-- A run that somebody asks for; its id names the Dag run. No row: this idempotency key was used before.
WITH next AS (SELECT nextval(pg_get_serial_sequence('hub.integration_run', 'id')) AS id)
INSERT INTO hub.integration_run (id, dag_id, dag_run_id, retry_of, rule_id, rule_revision, connection_id, provider_key, object_key,
                                 trigger, requested_by, request_id, idempotency_key, params)
OVERRIDING SYSTEM VALUE
SELECT next.id, %(dag_id)s, 'hub__' || next.id, %(retry_of)s, %(rule_id)s, %(rule_revision)s, %(connection_id)s, %(provider_key)s,
       %(object_key)s, %(trigger)s, %(actor)s, %(request_id)s, %(idempotency_key)s, %(params)s
  FROM next
ON CONFLICT (rule_id, requested_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING id;

-- name: find_requested
-- The run of an idempotency key.
SELECT id FROM hub.integration_run
 WHERE rule_id = %(rule_id)s AND requested_by = %(actor)s AND idempotency_key = %(idempotency_key)s;

-- name: list_recent
-- Newest first, keyset by id; a null filter does not filter.
SELECT r.*, c.key AS connection_key
  FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id
 WHERE r.provider_key = %(provider_key)s
   AND (%(object_key)s::text IS NULL OR r.object_key = %(object_key)s)
   AND (%(connection_id)s::bigint IS NULL OR r.connection_id = %(connection_id)s)
   AND (%(state)s::text IS NULL OR r.state = %(state)s)
   AND (%(since)s::timestamptz IS NULL OR r.created_at >= %(since)s)
   AND (%(before_id)s::bigint IS NULL OR r.id < %(before_id)s)
 ORDER BY r.id DESC LIMIT %(limit)s;

-- name: last_listing
-- The last whole listing of a connection and object.
SELECT records, requests FROM hub.integration_run
 WHERE connection_id = %(connection_id)s AND object_key = %(object_key)s AND plan ->> 'listing' IN ('full', 'sweep') AND witness IS NOT NULL
 ORDER BY id DESC LIMIT 1;

-- name: close
-- Ends an open run; an ended one keeps its outcome.
UPDATE hub.integration_run
   SET state = %(state)s, ended_at = clock_timestamp(), error_code = %(code)s, error_text = %(text)s, error_hint = %(hint)s
 WHERE id = %(run_id)s AND ended_at IS NULL;

-- name: waiting
-- Why an asked-for run has not started yet.
UPDATE hub.integration_run SET state = 'waiting', error_text = %(text)s WHERE id = %(run_id)s AND ended_at IS NULL;

-- name: cancel_unstarted
-- A run that no stage has begun ends at once.
UPDATE hub.integration_run
   SET state = 'cancelled', ended_at = clock_timestamp(), error_code = 'CANCELLED', error_text = %(text)s, error_hint = %(hint)s
 WHERE id = %(run_id)s AND ended_at IS NULL AND state IN ('requested', 'waiting')
RETURNING id;

-- name: fence_off
-- The next write of a stage at work is refused.
UPDATE hub.integration_lease SET fence = fence + 1 WHERE key = %(key)s AND run_id = %(run_id)s;

-- name: note_cancel
-- A running one is ended by its own finish, which reads the reason here.
UPDATE hub.integration_run SET error_code = 'CANCELLED', error_text = %(text)s, error_hint = %(hint)s
 WHERE id = %(run_id)s AND ended_at IS NULL;
