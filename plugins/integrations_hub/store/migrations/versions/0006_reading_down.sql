DROP VIEW hub.hub_v_resync, hub.hub_v_completeness, hub.hub_v_absent;
DROP TABLE hub.resync_covered, hub.resync_request, hub.sync_absent;
ALTER TABLE hub.integration_run DROP COLUMN verdict;
ALTER TABLE hub.integration_external_link DROP COLUMN gone_at, DROP COLUMN missing_since, DROP COLUMN missing_sweeps;
ALTER TABLE hub.integration_state DROP COLUMN proven_by, DROP COLUMN proven_at, DROP COLUMN sweep_tried_at, DROP COLUMN last_sweep_at,
    DROP COLUMN seeded_by, DROP COLUMN seed;
