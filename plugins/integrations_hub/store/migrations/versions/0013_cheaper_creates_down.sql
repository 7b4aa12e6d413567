DROP INDEX hub.projects_number;
CREATE INDEX projects_number ON hub.projects (project_number);
DROP INDEX hub.integration_external_link_one_local;
CREATE UNIQUE INDEX integration_external_link_one_local
    ON hub.integration_external_link (provider_key, local_entity, local_id) WHERE is_active;
DROP TRIGGER integration_external_link_target ON hub.integration_external_link;
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
CREATE TRIGGER integration_external_link_target AFTER INSERT ON hub.integration_external_link
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION hub.link_target_exists();
