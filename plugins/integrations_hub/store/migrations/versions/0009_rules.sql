-- Rules: what was decided about reading again; state: a revision for its editors; runs: when each stage began.

ALTER TABLE hub.integration_rule_revision
    ADD COLUMN generation integer NOT NULL DEFAULT 1,
    ADD COLUMN reread     boolean;
COMMENT ON COLUMN hub.integration_rule_revision.reread IS 'the saver''s decision when the change asked whether to read again; null when it did not ask';

ALTER TABLE hub.integration_state ADD COLUMN revision integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN hub.integration_state.revision IS 'counts every change, whoever makes it: an editor names the one that was looked at';
CREATE FUNCTION hub.next_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER integration_state_revision BEFORE UPDATE ON hub.integration_state
    FOR EACH ROW EXECUTE FUNCTION hub.next_revision();

ALTER TABLE hub.integration_run ADD COLUMN stage_times jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN hub.integration_run.stage_times IS 'when each stage was entered first';
CREATE INDEX integration_run_object ON hub.integration_run (connection_id, object_key, id DESC);
