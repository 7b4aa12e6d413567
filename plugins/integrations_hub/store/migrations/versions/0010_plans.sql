-- Plans that a person answers, and undo: two more actions, what they count, approvals, look-ups beyond the breaker.
ALTER TABLE hub.sync_change
    DROP CONSTRAINT sync_change_action_check,
    ADD CONSTRAINT sync_change_action_check CHECK (action IN
        ('create', 'update', 'link', 'inactivate', 'revive', 'out_of_scope', 'review', 'skip', 'remove', 'unlink'));
ALTER TABLE hub.integration_run ADD COLUMN removed integer NOT NULL DEFAULT 0;
ALTER TABLE hub.sync_chunk
    ADD COLUMN removed integer NOT NULL DEFAULT 0;
ALTER TABLE hub.integration_external_link ADD COLUMN missing_approved boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN hub.integration_external_link.missing_approved IS 'a person approved that so many are missing: the next sweep looks the record up by id';

CREATE TABLE hub.plan_answer (
    run_id      bigint PRIMARY KEY REFERENCES hub.integration_run ON DELETE CASCADE,
    seqs        integer[],
    answered_by text NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN hub.plan_answer.seqs IS 'the approved rows of the run''s plan of changes; null = all of them';

CREATE OR REPLACE VIEW hub.hub_v_run AS
    SELECT r.id, r.provider_key AS provider, c.key AS connection, r.object_key AS object, r.rule_id, r.rule_revision, r.dag_id, r.dag_run_id,
           r.retry_of, r.fence, r.state, r.stage, r.mark_from AS hwm_from, r.mark_to AS hwm_to, r.created, r.updated, r.unchanged,
           r.children AS skipped_children, r.rejected AS errors, r.inactivated AS deactivated, r.pages, r.records, r.requests, r.started_at,
           r.ended_at, r.error_code, r.error_text, r.request_id, r.linked, r.revived, r.out_of_scope, r.review, r.skipped, r.drifted, r.removed
      FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id;
CREATE OR REPLACE VIEW hub.hub_v_chunk AS
    SELECT run_id, chunk_no, fence, first_seq, last_seq, created, updated, drifted, linked, inactivated, revived, out_of_scope, refused, removed
      FROM hub.sync_chunk;

-- Who wrote a project's values: creations stand in the order of their ids, all other changes are few.
CREATE INDEX sync_change_created ON hub.sync_change USING brin (local_id) WITH (pages_per_range = 16) WHERE action = 'create';
CREATE INDEX sync_change_changed ON hub.sync_change (local_id) WHERE action <> 'create';
