-- name: database_exists
-- One row when the server has a database of this name.
SELECT 1 AS found FROM pg_database WHERE datname = %(name)s;

-- name: create_database
-- {name} is filled in as a quoted identifier: CREATE DATABASE takes no parameters.
CREATE DATABASE {name};

-- name: version
-- The server's version as one number, 180006 for 18.6.
SELECT current_setting('server_version_num')::int AS version;

-- name: airflow_tables
-- Whether this database holds Airflow's table of schema revisions.
SELECT to_regclass('public.alembic_version') IS NOT NULL AS found;

-- name: airflow_revision
-- The schema revision of Airflow's own tables.
SELECT version_num FROM public.alembic_version;
