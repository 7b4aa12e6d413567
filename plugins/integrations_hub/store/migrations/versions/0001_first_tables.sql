-- Hub schema, first revision. UTC everywhere; constraints carry the promises (docs/architecture.md, "Data").

CREATE TABLE hub.integration_provider (
    key            text PRIMARY KEY,
    schema_version text NOT NULL,
    display_name   text NOT NULL,
    raw            jsonb NOT NULL,
    checksum       text NOT NULL,
    loaded_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE hub.integration_connection (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_key        text NOT NULL,
    key                 text NOT NULL CHECK (key ~ '^[a-z0-9]+(_[a-z0-9]+)*$' AND length(key) <= 40),
    label               text NOT NULL,
    environment         text NOT NULL,
    company_id          text,
    is_active           boolean NOT NULL DEFAULT false CHECK (NOT is_active OR company_id IS NOT NULL),
    is_disabled         boolean NOT NULL DEFAULT false,
    needs_reauth        boolean NOT NULL DEFAULT false,
    reauth_reason       text,
    auth_state          text NOT NULL DEFAULT 'new' CHECK (auth_state IN ('new', 'connected', 'degraded', 'needs_reauth')),
    degraded_since      timestamptz,
    last_ok_at          timestamptz,
    api_base_url        text,
    connected_by        text,
    token_version       integer NOT NULL DEFAULT 0,
    token_expires_at    timestamptz,
    rejected_version    integer NOT NULL DEFAULT -1,
    refresh_claim       text,
    refresh_claim_until timestamptz,
    limits              jsonb NOT NULL DEFAULT '{}',
    filter_probes       jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (provider_key, key)
);
COMMENT ON COLUMN hub.integration_connection.rejected_version IS 'token version that the provider answered 401 to, noted by a task; asks the broker for a newer one';
COMMENT ON COLUMN hub.integration_connection.limits IS 'per-connection overrides of the rate limits, e.g. {"requestsPerMinute": 60}';
COMMENT ON COLUMN hub.integration_connection.filter_probes IS 'per object: {"projects": {"accepted": true, "at": "...", "note": "..."}} (D14)';
CREATE UNIQUE INDEX integration_connection_one_active
    ON hub.integration_connection (provider_key, company_id, environment) WHERE is_active;

CREATE TABLE hub.encrypted_secret (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    purpose       text NOT NULL,
    key_id        text NOT NULL,
    ciphertext    bytea NOT NULL,
    version       integer NOT NULL DEFAULT 1,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connection_id, purpose)
);

CREATE TABLE hub.oauth_flow (
    nonce_hash          text PRIMARY KEY,
    connection_id       bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    actor               text NOT NULL,
    cookie_hash         text NOT NULL,
    verifier_key_id     text NOT NULL,
    verifier_ciphertext bytea NOT NULL,
    redirect_uri        text NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at          timestamptz NOT NULL,
    consumed_at         timestamptz
);

CREATE TABLE hub.integration_setting (
    connection_id  bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    object_key     text NOT NULL,
    settings       jsonb NOT NULL DEFAULT '{}',
    schema_version text NOT NULL,
    revision       integer NOT NULL DEFAULT 1,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    updated_by     text NOT NULL,
    PRIMARY KEY (connection_id, object_key)
);

CREATE TABLE hub.integration_rule (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint NOT NULL REFERENCES hub.integration_connection,
    object_key    text NOT NULL,
    revision      integer NOT NULL DEFAULT 1,
    generation    integer NOT NULL DEFAULT 1,
    enabled       boolean NOT NULL DEFAULT false,
    hold_reason   text,
    body          jsonb NOT NULL CHECK ((body ->> 'includeSubprojects')::boolean IS NOT TRUE),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    updated_by    text NOT NULL
);
CREATE UNIQUE INDEX integration_rule_one_enabled ON hub.integration_rule (connection_id, object_key) WHERE enabled;

CREATE TABLE hub.integration_rule_revision (
    rule_id  bigint NOT NULL REFERENCES hub.integration_rule ON DELETE CASCADE,
    revision integer NOT NULL,
    body     jsonb NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    saved_by text NOT NULL,
    PRIMARY KEY (rule_id, revision)
);

CREATE TABLE hub.integration_run (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dag_id          text NOT NULL,
    dag_run_id      text NOT NULL,
    retry_of        bigint REFERENCES hub.integration_run,
    rule_id         bigint REFERENCES hub.integration_rule,
    rule_revision   integer,
    connection_id   bigint NOT NULL REFERENCES hub.integration_connection,
    provider_key    text NOT NULL,
    object_key      text NOT NULL,
    trigger         text NOT NULL DEFAULT 'scheduled',
    requested_by    text,
    request_id      text,
    idempotency_key text,
    params          jsonb NOT NULL DEFAULT '{}',
    plan            jsonb NOT NULL DEFAULT '{}',
    state           text NOT NULL DEFAULT 'requested' CHECK (state IN (
        'requested', 'waiting', 'running', 'succeeded', 'succeeded_with_rejects', 'planned', 'needs_confirmation',
        'skipped', 'incomplete', 'failed', 'lost', 'cancelled')),
    stage           text,
    fence           bigint,
    mark_from       timestamp,
    mark_to         timestamp,
    listing         jsonb NOT NULL DEFAULT '{}',
    witness         jsonb,
    pages           integer NOT NULL DEFAULT 0,
    records         integer NOT NULL DEFAULT 0,
    children        integer NOT NULL DEFAULT 0,
    created         integer NOT NULL DEFAULT 0,
    updated         integer NOT NULL DEFAULT 0,
    unchanged       integer NOT NULL DEFAULT 0,
    rejected        integer NOT NULL DEFAULT 0,
    review          integer NOT NULL DEFAULT 0,
    skipped         integer NOT NULL DEFAULT 0,
    requests        integer NOT NULL DEFAULT 0,
    warnings        jsonb NOT NULL DEFAULT '[]',
    error_code      text,
    error_text      text,
    error_hint      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,
    ended_at        timestamptz
);
COMMENT ON COLUMN hub.integration_run.plan IS 'what plan pinned: mode, window, rule body, mapping and its version, listing choice';
COMMENT ON COLUMN hub.integration_run.listing IS 'progress of fetch: attempt, counts before and after, provider clock at start, position';
COMMENT ON COLUMN hub.integration_run.witness IS 'pages, records and digest of the page digests, written when fetch ends (rule 3 of a run)';
CREATE UNIQUE INDEX integration_run_one_open ON hub.integration_run (dag_id, dag_run_id) WHERE ended_at IS NULL;
CREATE INDEX integration_run_recent ON hub.integration_run (provider_key, id DESC);
CREATE INDEX integration_run_dag_run ON hub.integration_run (dag_id, dag_run_id, id);
CREATE UNIQUE INDEX integration_run_one_per_key
    ON hub.integration_run (rule_id, requested_by, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE hub.integration_lease (
    key        text PRIMARY KEY,
    run_id     bigint,
    fence      bigint NOT NULL DEFAULT 0,
    stage      text,
    taken_at   timestamptz,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
);

CREATE TABLE hub.integration_state (
    connection_id   bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    object_key      text NOT NULL,
    generation      integer NOT NULL DEFAULT 1,
    mark            timestamp,
    initial_done_at timestamptz,
    resync_required boolean NOT NULL DEFAULT false,
    fence           bigint NOT NULL DEFAULT 0,
    run_id          bigint,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, object_key)
);
COMMENT ON COLUMN hub.integration_state.mark IS 'high-water mark: the provider''s own "updated at" in UTC, moved by finish only';

CREATE UNLOGGED TABLE hub.sync_page (
    run_id     bigint NOT NULL,
    page_no    integer NOT NULL,
    n          integer NOT NULL,
    children   integer NOT NULL DEFAULT 0,
    digest     text NOT NULL,
    fence      bigint NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, page_no)
);

CREATE UNLOGGED TABLE hub.sync_record (
    run_id      bigint NOT NULL,
    page_no     integer NOT NULL,
    n           integer NOT NULL,
    external_id text,
    parent_id   text,
    updated_at  timestamp,
    payload     text NOT NULL,
    flag        text
);
COMMENT ON COLUMN hub.sync_record.payload IS 'the requested fields as the provider sent them (JSON object)';
COMMENT ON COLUMN hub.sync_record.flag IS 'null = root to map; child, duplicate, out_of_scope are set by filter_parents';
CREATE INDEX sync_record_place ON hub.sync_record (run_id, page_no, n);

CREATE TABLE hub.sync_change (
    run_id      bigint NOT NULL REFERENCES hub.integration_run ON DELETE CASCADE,
    seq         integer NOT NULL,
    external_id text NOT NULL,
    local_id    bigint,
    action      text NOT NULL CHECK (action IN ('create', 'update', 'inactivate', 'out_of_scope', 'review')),
    before      jsonb,
    after       jsonb,
    reason      text,
    source_updated_at timestamp,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE hub.sync_chunk (
    run_id    bigint NOT NULL REFERENCES hub.integration_run ON DELETE CASCADE,
    chunk_no  integer NOT NULL,
    fence     bigint NOT NULL,
    first_seq integer NOT NULL,
    last_seq  integer NOT NULL,
    created   integer NOT NULL,
    updated   integer NOT NULL,
    drifted   integer NOT NULL DEFAULT 0,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, chunk_no)
);

CREATE TABLE hub.quarantine (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    object_key    text NOT NULL,
    external_id   text NOT NULL,
    run_id        bigint NOT NULL,
    code          text NOT NULL,
    reason        text NOT NULL,
    pointer       text NOT NULL,
    attempts      integer NOT NULL DEFAULT 1,
    first_seen    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen     timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at   timestamptz,
    UNIQUE (connection_id, object_key, external_id)
);

CREATE TABLE hub.projects (
    id                       bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    project_number           text,
    name                     text NOT NULL,
    client                   text,
    status                   text NOT NULL DEFAULT 'active',
    start_date               date,
    end_date                 date,
    lead                     text,
    notes                    text,
    scope                    text NOT NULL DEFAULT 'in_scope' CHECK (scope IN ('in_scope', 'out_of_scope')),
    deleted_at               timestamptz,
    bqe_client_name          text,
    bqe_client_id            text,
    client_sync_policy_state jsonb,
    is_active                boolean GENERATED ALWAYS AS (status <> 'inactive') STORED,
    created_at               timestamptz NOT NULL DEFAULT now(),
    updated_at               timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX projects_number ON hub.projects (project_number);
CREATE INDEX projects_bqe_client_id ON hub.projects (bqe_client_id);
CREATE INDEX projects_bqe_client_name ON hub.projects (lower(bqe_client_name));

CREATE TABLE hub.people (
    id         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    email      text,
    status     text NOT NULL DEFAULT 'active',
    is_active  boolean GENERATED ALWAYS AS (status <> 'inactive') STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE hub.integration_external_link (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_key      text NOT NULL,
    object_type       text NOT NULL,
    connection_id     bigint NOT NULL REFERENCES hub.integration_connection,
    external_id       text NOT NULL,
    local_entity      text NOT NULL CHECK (local_entity IN ('project', 'person')),
    local_id          bigint NOT NULL,
    is_active         boolean NOT NULL DEFAULT true,
    raw_status        text,
    source_updated_at timestamp,
    synced_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id            bigint NOT NULL,
    idempotency_key   text NOT NULL,
    -- external_id leads: without statistics the planner would take the other three for selective and scan them per record
    UNIQUE (external_id, connection_id, object_type, provider_key)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX integration_external_link_one_local
    ON hub.integration_external_link (provider_key, local_entity, local_id) WHERE is_active;

CREATE FUNCTION hub.link_target_exists() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- A link without its local row would be a silent loss; a statement-level check keeps bulk loads fast.
    -- A plan kept from when the tables were empty would scan them once per link.
    PERFORM 1 FROM added a
      WHERE (a.local_entity = 'project' AND NOT EXISTS (SELECT 1 FROM hub.projects p WHERE p.id = a.local_id))
         OR (a.local_entity = 'person' AND NOT EXISTS (SELECT 1 FROM hub.people p WHERE p.id = a.local_id));
    IF FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = 'integration_external_link: the local row of a link does not exist';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER integration_external_link_target AFTER INSERT ON hub.integration_external_link
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION hub.link_target_exists();

CREATE TABLE hub.rate_limit (
    provider_key               text PRIMARY KEY,
    requests_per_minute        integer NOT NULL,
    burst                      integer NOT NULL,
    max_concurrent             integer NOT NULL,
    global_requests_per_minute integer NOT NULL,
    updated_at                 timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE hub.rate_limit IS 'limits in force: provider.json < environment; integration_connection.limits overrides per connection';

CREATE UNLOGGED TABLE hub.rate_budget (
    key          text PRIMARY KEY,
    next_slot    timestamptz NOT NULL DEFAULT '-infinity',
    paused_until timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE hub.rate_budget IS 'reservation rows (GCRA): one per connection, one per provider; recreated on demand after a crash';

CREATE UNLOGGED TABLE hub.rate_inflight (
    token      uuid PRIMARY KEY,
    key        text NOT NULL,
    expires_at timestamptz NOT NULL,
    backend    integer NOT NULL
);
COMMENT ON COLUMN hub.rate_inflight.backend IS 'database session of the sender: when it is gone the sender is, and the place is free at once';
CREATE INDEX rate_inflight_key ON hub.rate_inflight (key);

CREATE TABLE hub.audit_log (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    detail     jsonb NOT NULL DEFAULT '{}',
    request_id text
);
CREATE FUNCTION hub.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'audit_log is append-only';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON hub.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION hub.audit_is_append_only();

CREATE TABLE hub.heartbeat (
    name text PRIMARY KEY,
    at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE hub.heartbeat IS 'what the Hub''s health reads: the housekeeping Dag, and rules whose Dag could not be built (name dag_broken:<rule id>)';

-- Read-only views: a public, versioned contract (docs/architecture.md, "Views")
CREATE VIEW hub.hub_v_run AS
    SELECT r.id, r.provider_key AS provider, c.key AS connection, r.object_key AS object, r.rule_id, r.rule_revision, r.dag_id, r.dag_run_id,
           r.retry_of, r.fence, r.state, r.stage, r.mark_from AS hwm_from, r.mark_to AS hwm_to, r.created, r.updated, r.unchanged,
           r.children AS skipped_children, r.rejected AS errors, 0 AS deactivated, r.pages, r.records, r.requests, r.started_at, r.ended_at,
           r.error_code, r.error_text, r.request_id
      FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id;
CREATE VIEW hub.hub_v_lease AS SELECT key, fence, run_id AS owner, stage, expires_at FROM hub.integration_lease;
CREATE VIEW hub.hub_v_state AS
    SELECT c.provider_key || ':' || c.key || ':' || s.object_key AS key, s.mark AS hwm, s.fence, s.generation, s.resync_required
      FROM hub.integration_state s JOIN hub.integration_connection c ON c.id = s.connection_id;
CREATE VIEW hub.hub_v_page AS SELECT run_id, page_no, n, children, digest, fence FROM hub.sync_page;
CREATE VIEW hub.hub_v_chunk AS SELECT run_id, chunk_no, fence, first_seq, last_seq, created, updated, drifted FROM hub.sync_chunk;
CREATE VIEW hub.hub_v_link AS
    SELECT l.id, l.provider_key AS provider, l.object_type, c.key AS connection, l.external_id, l.local_entity, l.local_id, l.is_active,
           l.source_updated_at, l.synced_at, l.run_id
      FROM hub.integration_external_link l JOIN hub.integration_connection c ON c.id = l.connection_id;
