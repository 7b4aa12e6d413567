DROP INDEX hub.sync_change_changed, hub.sync_change_created;
DROP VIEW hub.hub_v_run;
DROP VIEW hub.hub_v_chunk;
CREATE VIEW hub.hub_v_run AS
    SELECT r.id, r.provider_key AS provider, c.key AS connection, r.object_key AS object, r.rule_id, r.rule_revision, r.dag_id, r.dag_run_id,
           r.retry_of, r.fence, r.state, r.stage, r.mark_from AS hwm_from, r.mark_to AS hwm_to, r.created, r.updated, r.unchanged,
           r.children AS skipped_children, r.rejected AS errors, r.inactivated AS deactivated, r.pages, r.records, r.requests, r.started_at,
           r.ended_at, r.error_code, r.error_text, r.request_id, r.linked, r.revived, r.out_of_scope, r.review, r.skipped, r.drifted
      FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id;
CREATE VIEW hub.hub_v_chunk AS
    SELECT run_id, chunk_no, fence, first_seq, last_seq, created, updated, drifted, linked, inactivated, revived, out_of_scope, refused
      FROM hub.sync_chunk;
DROP TABLE hub.plan_answer;
ALTER TABLE hub.integration_external_link DROP COLUMN missing_approved;
ALTER TABLE hub.sync_chunk DROP COLUMN removed;
ALTER TABLE hub.integration_run DROP COLUMN removed;
DELETE FROM hub.sync_change WHERE action IN ('remove', 'unlink');
ALTER TABLE hub.sync_change
    DROP CONSTRAINT sync_change_action_check,
    ADD CONSTRAINT sync_change_action_check CHECK (action IN
        ('create', 'update', 'link', 'inactivate', 'revive', 'out_of_scope', 'review', 'skip'));
