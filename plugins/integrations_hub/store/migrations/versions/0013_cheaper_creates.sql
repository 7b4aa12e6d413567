-- What a project made by a sync costs. Numbers are looked up whole, never in order. Links come in the order of their local rows.
DROP INDEX hub.projects_number;
CREATE INDEX projects_number ON hub.projects USING hash (project_number);
DROP INDEX hub.integration_external_link_one_local;
CREATE UNIQUE INDEX integration_external_link_one_local
    ON hub.integration_external_link (local_id, local_entity, provider_key) WHERE is_active;

-- A link without its local row would be a silent loss. A sync makes the row in the same statement, or holds its lock, and its own
-- run refers to the connection; everybody else is checked.
DROP TRIGGER integration_external_link_target ON hub.integration_external_link;
CREATE OR REPLACE FUNCTION hub.link_target_exists() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM hub.projects p WHERE NEW.local_entity = 'project' AND p.id = NEW.local_id)
       AND NOT EXISTS (SELECT 1 FROM hub.people p WHERE NEW.local_entity = 'person' AND p.id = NEW.local_id) THEN
        RAISE foreign_key_violation USING MESSAGE = 'integration_external_link: the local row of a link does not exist';
    END IF;
    -- locked as a foreign key would, so that the connection is not deleted meanwhile
    PERFORM 1 FROM hub.integration_connection c WHERE c.id = NEW.connection_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = 'integration_external_link: the connection of a link does not exist';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER integration_external_link_target AFTER INSERT ON hub.integration_external_link
    FOR EACH ROW WHEN (current_setting('hub.writer', true) IS DISTINCT FROM 'sync') EXECUTE FUNCTION hub.link_target_exists();
