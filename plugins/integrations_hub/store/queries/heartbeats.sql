-- name: beat
-- Show life.
INSERT INTO hub.heartbeat (name, at, detail) VALUES (%(name)s, clock_timestamp(), %(detail)s)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, detail = excluded.detail;

-- name: read_all
-- Every heartbeat with its age by the database's clock.
SELECT name, at, extract(epoch FROM clock_timestamp() - at)::float8 AS age_s, detail FROM hub.heartbeat ORDER BY name;
