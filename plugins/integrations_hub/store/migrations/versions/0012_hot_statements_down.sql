UPDATE hub.sync_change SET remote = hub.provider_said(after, remote) WHERE array_lower(remote, 1) > 1;
DROP FUNCTION hub.provider_said;
DROP FUNCTION hub.take_slot;
DROP FUNCTION hub.hold_lease;
ALTER TABLE hub.integration_external_link ADD PRIMARY KEY (id);
