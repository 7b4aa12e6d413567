DROP FUNCTION hub.take_slot;
DROP FUNCTION hub.hold_lease;
ALTER TABLE hub.integration_external_link ADD PRIMARY KEY (id);
