-- The change set: whole images as arrays (docs/decisions: change-set-format); a run under way plans again.
DELETE FROM hub.sync_change c USING hub.integration_run r WHERE r.id = c.run_id AND r.ended_at IS NULL;
UPDATE hub.integration_run SET listing = listing - 'mapped' WHERE ended_at IS NULL;

CREATE FUNCTION pg_temp.as_image(old jsonb) RETURNS text[] LANGUAGE sql AS $$
    SELECT CASE WHEN old IS NOT NULL THEN ARRAY[old ->> 'project_number', old ->> 'name', old ->> 'client', old ->> 'status', old ->> 'start_date',
        old ->> 'end_date', old ->> 'lead', old ->> 'notes', old ->> 'bqe_client_name', old ->> 'bqe_client_id', old ->> 'scope',
        NULL, NULL, old ->> 'raw_status', NULL, NULL] END
$$;
ALTER TABLE hub.sync_change
    -- a check per row costs a third of map_fields; runs are deleted by the store alone, which deletes these first
    DROP CONSTRAINT sync_change_run_id_fkey,
    DROP CONSTRAINT sync_change_action_check,
    ADD CONSTRAINT sync_change_action_check CHECK (action IN
        ('create', 'update', 'link', 'inactivate', 'revive', 'out_of_scope', 'review', 'skip')),
    ALTER COLUMN before TYPE text[] USING pg_temp.as_image(before),
    ALTER COLUMN after TYPE text[] USING pg_temp.as_image(after),
    ADD COLUMN remote text[],
    ADD COLUMN outcome text;
DROP FUNCTION pg_temp.as_image(jsonb);
COMMENT ON COLUMN hub.sync_change.local_id IS 'the row that is changed; of a create the id it will get';
COMMENT ON COLUMN hub.sync_change.before IS 'image of the row and its link when planned, in the order of the run''s plan -> columns; null when there is no row';
COMMENT ON COLUMN hub.sync_change.after IS 'image that upsert leaves; client_sync_policy_state is null in it when upsert states it';
COMMENT ON COLUMN hub.sync_change.remote IS 'what the provider says, in the mapped columns'' order, where it is not what after begins with';
COMMENT ON COLUMN hub.sync_change.outcome IS 'null = as planned once its chunk is applied; redecided, drifted, refused: what upsert met instead';

ALTER TABLE hub.sync_chunk
    ADD COLUMN linked integer NOT NULL DEFAULT 0,
    ADD COLUMN inactivated integer NOT NULL DEFAULT 0,
    ADD COLUMN revived integer NOT NULL DEFAULT 0,
    ADD COLUMN out_of_scope integer NOT NULL DEFAULT 0,
    ADD COLUMN refused integer NOT NULL DEFAULT 0;
ALTER TABLE hub.integration_run
    ADD COLUMN linked integer NOT NULL DEFAULT 0,
    ADD COLUMN inactivated integer NOT NULL DEFAULT 0,
    ADD COLUMN revived integer NOT NULL DEFAULT 0,
    ADD COLUMN out_of_scope integer NOT NULL DEFAULT 0,
    ADD COLUMN drifted integer NOT NULL DEFAULT 0;
ALTER TABLE hub.integration_external_link
    ADD COLUMN base text[],
    ADD COLUMN remote_deleted_at timestamptz,
    SET (fillfactor = 85);
COMMENT ON COLUMN hub.integration_external_link.base IS 'what the provider said last, in the mapped columns'' order, for columns under preserve_local; null = unknown';
COMMENT ON COLUMN hub.integration_external_link.remote_deleted_at IS 'when the record was first seen archived or gone; null again when it comes back';
COMMENT ON COLUMN hub.integration_external_link.idempotency_key IS 'rule revision, mapping version and digest of what was applied; with connection, object and external id the key of the application';

-- A foreign key is checked row by row, half the time of a load; one check per statement promises the same.
ALTER TABLE hub.integration_external_link DROP CONSTRAINT integration_external_link_connection_id_fkey;
CREATE OR REPLACE FUNCTION hub.link_target_exists() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- A link without its local row would be a silent loss; a statement-level check keeps bulk loads fast. A sync makes the row in the
    -- same statement, or holds its lock. A plan kept from when the tables were empty would scan them once per link.
    IF current_setting('hub.writer', true) IS DISTINCT FROM 'sync' THEN
        PERFORM 1 FROM added a
          WHERE (a.local_entity = 'project' AND NOT EXISTS (SELECT 1 FROM hub.projects p WHERE p.id = a.local_id))
             OR (a.local_entity = 'person' AND NOT EXISTS (SELECT 1 FROM hub.people p WHERE p.id = a.local_id));
        IF FOUND THEN
            RAISE foreign_key_violation USING MESSAGE = 'integration_external_link: the local row of a link does not exist';
        END IF;
    END IF;
    -- locked as a foreign key would, so that the connection is not deleted meanwhile
    PERFORM 1 FROM hub.integration_connection c WHERE c.id IN (SELECT a.connection_id FROM added a) FOR KEY SHARE;
    PERFORM 1 FROM added a WHERE NOT EXISTS (SELECT 1 FROM hub.integration_connection c WHERE c.id = a.connection_id);
    IF FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = 'integration_external_link: the connection of a link does not exist';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION hub.connection_has_no_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM hub.integration_external_link l WHERE l.connection_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = 'integration_connection: the connection still has links';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER integration_connection_links AFTER DELETE ON hub.integration_connection
    FOR EACH ROW EXECUTE FUNCTION hub.connection_has_no_links();

-- What the provider says is written by runs only; a person edits the column beside it.
CREATE FUNCTION hub.provider_columns_are_the_syncs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'projects: bqe_client_name and bqe_client_id are written by a sync only',
        HINT = 'Edit client; a run under preserve_local keeps it.';
END $$;
CREATE TRIGGER projects_provider_columns BEFORE UPDATE ON hub.projects FOR EACH ROW
    WHEN ((OLD.bqe_client_name, OLD.bqe_client_id) IS DISTINCT FROM (NEW.bqe_client_name, NEW.bqe_client_id)
          AND current_setting('hub.writer', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION hub.provider_columns_are_the_syncs();

CREATE FUNCTION hub.merged(policy text, local anyelement, remote anyelement, base text) RETURNS anyelement LANGUAGE sql STABLE AS $$
    SELECT CASE policy WHEN 'follow' THEN remote
        WHEN 'preserve_local' THEN CASE WHEN coalesce(local::text, '') = '' OR local::text = base THEN remote ELSE local END
        ELSE local END
$$;
COMMENT ON FUNCTION hub.merged IS
    'a column''s value after a sync: follow the provider; keep what was edited here (empty, or equal to base, is not edited); keep what is here (write_once, unmapped)';

CREATE OR REPLACE VIEW hub.hub_v_run AS
    SELECT r.id, r.provider_key AS provider, c.key AS connection, r.object_key AS object, r.rule_id, r.rule_revision, r.dag_id, r.dag_run_id,
           r.retry_of, r.fence, r.state, r.stage, r.mark_from AS hwm_from, r.mark_to AS hwm_to, r.created, r.updated, r.unchanged,
           r.children AS skipped_children, r.rejected AS errors, r.inactivated AS deactivated, r.pages, r.records, r.requests, r.started_at,
           r.ended_at, r.error_code, r.error_text, r.request_id, r.linked, r.revived, r.out_of_scope, r.review, r.skipped, r.drifted
      FROM hub.integration_run r JOIN hub.integration_connection c ON c.id = r.connection_id;
CREATE OR REPLACE VIEW hub.hub_v_chunk AS
    SELECT run_id, chunk_no, fence, first_seq, last_seq, created, updated, drifted, linked, inactivated, revived, out_of_scope, refused
      FROM hub.sync_chunk;
CREATE OR REPLACE VIEW hub.hub_v_link AS
    SELECT l.id, l.provider_key AS provider, l.object_type, c.key AS connection, l.external_id, l.local_entity, l.local_id, l.is_active,
           l.source_updated_at, l.synced_at, l.run_id, l.raw_status, l.remote_deleted_at
      FROM hub.integration_external_link l JOIN hub.integration_connection c ON c.id = l.connection_id;
CREATE VIEW hub.hub_v_change AS
    SELECT c.run_id, c.seq, c.external_id, c.local_id, c.action, c.reason, c.outcome, c.source_updated_at,
           jsonb_object(k.columns, c.before) AS before, jsonb_object(k.columns, c.after) AS after
      FROM hub.sync_change c JOIN hub.integration_run r ON r.id = c.run_id
     CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(r.plan -> 'columns')) AS columns) AS k
     WHERE r.plan ? 'columns';

-- A column's policy for a whole image: the same rule as hub.merged, for the few rows that are decided a second time.
CREATE FUNCTION hub.merged_image(policies text[], local text[], remote text[], base text[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(hub.merged(policies[i], local[i], remote[i], base[i]) ORDER BY i) FROM generate_subscripts(policies, 1) AS i
$$;
CREATE FUNCTION hub.image(p hub.projects) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY[p.project_number, p.name, p.client, p.status, p.start_date::text, p.end_date::text, p.lead, p.notes, p.bqe_client_name,
                 p.bqe_client_id, p.scope, p.deleted_at::text, p.client_sync_policy_state::text]
$$;
CREATE FUNCTION hub.image(l hub.integration_external_link) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY[l.raw_status, l.base::text, l.remote_deleted_at::text]
$$;
