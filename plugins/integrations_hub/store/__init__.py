"""The only place with SQL (queries/<noun>.sql), on psycopg 3."""
