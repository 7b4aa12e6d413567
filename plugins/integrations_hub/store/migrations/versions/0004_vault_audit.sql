-- The audit log as a hash chain: an edited entry, a deleted one and a dropped tail show.

CREATE TABLE hub.audit_head (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seq      bigint NOT NULL,
    hash     text NOT NULL
);
COMMENT ON TABLE hub.audit_head IS 'the last entry of the chain; its row lock is what writers queue at, so entries have no gap';
INSERT INTO hub.audit_head (seq, hash) VALUES (0, repeat('0', 64));

ALTER TABLE hub.audit_log ALTER COLUMN seq DROP IDENTITY;
ALTER TABLE hub.audit_log ADD COLUMN prev text, ADD COLUMN hash text;

CREATE FUNCTION hub.audit_hash(entry hub.audit_log) RETURNS text LANGUAGE sql STABLE AS $$
    -- jsonb sorts its keys, so the same entry always gives the same text
    SELECT encode(sha256(convert_to(jsonb_build_object(
        'seq', entry.seq, 'at', to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'actor', entry.actor,
        'action', entry.action, 'target', entry.target, 'detail', entry.detail, 'request_id', entry.request_id,
        'prev', entry.prev)::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION hub.audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head hub.audit_head;
BEGIN
    -- The lock lasts until the writer's transaction ends: an entry belongs at the end of its transaction.
    SELECT * INTO STRICT head FROM hub.audit_head FOR UPDATE;
    NEW.seq := head.seq + 1;
    NEW.at := clock_timestamp();
    NEW.prev := head.hash;
    NEW.hash := hub.audit_hash(NEW);
    UPDATE hub.audit_head SET seq = NEW.seq, hash = NEW.hash;
    RETURN NEW;
END $$;

-- Entries from before the chain, in the order in which they were written; numbers of rolled back writers close up.
ALTER TABLE hub.audit_log DISABLE TRIGGER audit_log_append_only;
DO $$
DECLARE
    entry hub.audit_log;
    old_seq bigint;
    head hub.audit_head;
BEGIN
    SELECT * INTO STRICT head FROM hub.audit_head;
    FOR entry IN SELECT * FROM hub.audit_log ORDER BY seq LOOP
        old_seq := entry.seq;
        entry.seq := head.seq + 1;
        entry.prev := head.hash;
        entry.hash := hub.audit_hash(entry);
        UPDATE hub.audit_log SET seq = entry.seq, prev = entry.prev, hash = entry.hash WHERE seq = old_seq;
        head.seq := entry.seq;
        head.hash := entry.hash;
    END LOOP;
    UPDATE hub.audit_head SET seq = head.seq, hash = head.hash;
END $$;
ALTER TABLE hub.audit_log ENABLE TRIGGER audit_log_append_only;

ALTER TABLE hub.audit_log ALTER COLUMN prev SET NOT NULL, ALTER COLUMN hash SET NOT NULL;
CREATE TRIGGER audit_log_chain BEFORE INSERT ON hub.audit_log FOR EACH ROW EXECUTE FUNCTION hub.audit_chain();

CREATE FUNCTION hub.audit_head_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1 THEN
        RETURN NULL;  -- by the chain itself
    END IF;
    RAISE insufficient_privilege USING MESSAGE = 'audit_head follows audit_log and is not written otherwise';
END $$;
CREATE TRIGGER audit_head_follows AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON hub.audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION hub.audit_head_follows();

CREATE INDEX audit_log_target ON hub.audit_log (target, seq DESC);

CREATE VIEW hub.hub_v_audit AS SELECT seq, at, actor, action, target, prev, hash FROM hub.audit_log;
