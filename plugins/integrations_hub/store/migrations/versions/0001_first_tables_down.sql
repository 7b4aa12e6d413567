DROP VIEW hub.hub_v_link, hub.hub_v_chunk, hub.hub_v_page, hub.hub_v_state, hub.hub_v_lease, hub.hub_v_run;
DROP TABLE hub.heartbeat, hub.audit_log, hub.rate_inflight, hub.rate_budget, hub.rate_limit, hub.integration_external_link, hub.people,
    hub.projects, hub.quarantine, hub.sync_chunk, hub.sync_change, hub.sync_record, hub.sync_page, hub.integration_state,
    hub.integration_lease, hub.integration_run, hub.integration_rule_revision, hub.integration_rule, hub.integration_setting,
    hub.oauth_flow, hub.encrypted_secret, hub.integration_connection, hub.integration_provider;
DROP FUNCTION hub.audit_is_append_only(), hub.link_target_exists();
