-- Reading: first-run seeds, sweeps and what they find absent, completeness verdicts, resync requests.

ALTER TABLE hub.integration_state
    ADD COLUMN seed           timestamp,
    ADD COLUMN seeded_by      text,
    ADD COLUMN last_sweep_at  timestamptz,
    ADD COLUMN sweep_tried_at timestamptz,
    ADD COLUMN proven_at      timestamptz,
    ADD COLUMN proven_by      bigint;
COMMENT ON COLUMN hub.integration_state.seed IS 'where a delta_only_from_now rule began (D6): provider-side UTC; the mark moves on, this stays';
COMMENT ON COLUMN hub.integration_state.seeded_by IS 'who set the mark before a run did: the clock, or a person';
COMMENT ON COLUMN hub.integration_state.sweep_tried_at IS 'a sweep that is due and fails is tried once a day, so that the changes are not kept waiting';
COMMENT ON COLUMN hub.integration_state.proven_at IS 'when a full run or a sweep last ended with the verdict complete, and which run that was';

ALTER TABLE hub.integration_external_link
    ADD COLUMN missing_sweeps smallint NOT NULL DEFAULT 0,
    ADD COLUMN missing_since  timestamptz,
    ADD COLUMN gone_at        timestamptz;
COMMENT ON COLUMN hub.integration_external_link.missing_sweeps IS 'complete sweeps in a row that did not list the record; moved by finish only';
COMMENT ON COLUMN hub.integration_external_link.gone_at IS 'the provider answered 404 or 410 by id after two complete sweeps; null again when it is listed again';

ALTER TABLE hub.integration_run ADD COLUMN verdict jsonb;
COMMENT ON COLUMN hub.integration_run.verdict IS 'completeness of a full run or a sweep: {"state": "complete" | "incomplete", "missing": {"count", "ids"}, "extra": ...}';

CREATE TABLE hub.sync_absent (
    run_id      bigint NOT NULL REFERENCES hub.integration_run ON DELETE CASCADE,
    external_id text NOT NULL,
    local_id    bigint NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN
        ('first_miss', 'asking', 'present', 'child', 'forbidden', 'gone', 'unproven', 'too_many_missing')),
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, external_id)
);
COMMENT ON TABLE hub.sync_absent IS 'linked records that a complete sweep did not list, and what a look-up by id said; only gone and child conclude anything';

CREATE TABLE hub.resync_request (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint NOT NULL REFERENCES hub.integration_connection ON DELETE CASCADE,
    object_key    text NOT NULL,
    since         timestamp,
    until         timestamp NOT NULL,
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at     timestamptz,
    closed_by     bigint
);
COMMENT ON COLUMN hub.resync_request.since IS 'null = everything; `until` is the time of the request';
CREATE INDEX resync_request_open ON hub.resync_request (connection_id, object_key, id) WHERE closed_at IS NULL;

CREATE TABLE hub.resync_covered (
    run_id        bigint PRIMARY KEY REFERENCES hub.integration_run ON DELETE CASCADE,
    connection_id bigint NOT NULL,
    object_key    text NOT NULL,
    since         timestamp,
    until         timestamp,
    swept         boolean NOT NULL,
    started_at    timestamptz NOT NULL
);
COMMENT ON TABLE hub.resync_covered IS 'interval [since, until] of provider stamps that a window, full or sweep run has read and applied; null = unbounded';
CREATE INDEX resync_covered_object ON hub.resync_covered (connection_id, object_key, started_at);

CREATE VIEW hub.hub_v_absent AS SELECT run_id, external_id, local_id, verdict, decided_at FROM hub.sync_absent;
CREATE VIEW hub.hub_v_completeness AS
    SELECT c.provider_key || ':' || c.key || ':' || s.object_key AS key, s.last_sweep_at, s.proven_at, s.proven_by,
           s.seed, s.seeded_by
      FROM hub.integration_state s JOIN hub.integration_connection c ON c.id = s.connection_id;
CREATE VIEW hub.hub_v_resync AS
    SELECT r.id, c.provider_key || ':' || c.key || ':' || r.object_key AS key, r.since, r.until, r.created_by, r.created_at,
           r.closed_at, r.closed_by
      FROM hub.resync_request r JOIN hub.integration_connection c ON c.id = r.connection_id;
